// What `.control` can be asked to do: rmr, info, summary, compact, warmup, store all data. Thread-safe.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "chunk/cache_fill.h"
#include "meta/meta.h"
#include "vfs/control.h"

namespace cider::vfs {

class ControlCommands {
 public:
  struct Hooks {
    std::function<Ino(Ino)> inner;  // the kernel's inode number to the volume's
    std::function<void(Ino parent, const std::string& name)> entry_gone;  // a name was removed
    // Stores all data, that of write-back in the end: `left` hears of it. The error names what could not be.
    std::function<Status(std::stop_token, const std::function<void(uint64_t blocks, uint64_t bytes)>& left)>
        flush_all;
    chunk::CacheFill* fill = nullptr;  // null: there is no cache
    Ino root = kRootIno;               // of the mount, in the volume
  };
  ControlCommands(meta::Meta& meta, Hooks hooks) : meta_(meta), hooks_(std::move(hooks)) {}

  // What goes on in the background ends. Before what this was made with goes.
  void stop();

  // Runs to the end or until caller.interrupt; answers the final frame.
  std::string run(const Caller& caller, const ControlRequest& request, ControlProgress* progress);

 private:
  Status remove_tree(const Caller& caller, const RemoveTreeRequest& request, ControlProgress* progress);
  Status compact(const Caller& caller, const CompactRequest& request, ControlProgress* progress);

  std::string fill_cache(const Caller& caller, const FillCacheRequest& request, ControlProgress* progress);

  meta::Meta& meta_;
  const Hooks hooks_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::list<std::jthread> background_;  // warmups that nobody waits for
};

}  // namespace cider::vfs
