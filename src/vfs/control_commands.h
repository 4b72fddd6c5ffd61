// What `.control` can be asked to do: rmr, info, summary, compact, store all data. Thread-safe.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "meta/meta.h"
#include "vfs/control.h"

namespace cider::vfs {

class ControlCommands {
 public:
  struct Hooks {
    std::function<Ino(Ino)> inner;  // the kernel's inode number to the volume's
    std::function<void(Ino parent, const std::string& name)> entry_gone;  // a name was removed
    std::function<Status(std::stop_token)> flush_all;  // the error names what could not be stored
  };
  ControlCommands(meta::Meta& meta, Hooks hooks) : meta_(meta), hooks_(std::move(hooks)) {}

  // Runs to the end or until caller.interrupt; answers the final frame.
  std::string run(const Caller& caller, const ControlRequest& request, ControlProgress* progress);

 private:
  Status remove_tree(const Caller& caller, const RemoveTreeRequest& request, ControlProgress* progress);
  Status compact(const Caller& caller, const CompactRequest& request, ControlProgress* progress);

  meta::Meta& meta_;
  const Hooks hooks_;
};

}  // namespace cider::vfs
