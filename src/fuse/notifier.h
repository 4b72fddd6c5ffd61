// Tells the kernel's caches about changes that others made: the file system's notifications, merged and sent
// by a thread of their own. Dropping pages waits for locks that requests in flight hold, which a stalled
// store may take long to answer. So pages of an inode with such requests are left for later; where somebody
// waits for the drop, a second thread does it, and keeps only those waiting who want the same.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fuse/interrupts.h"
#include "fuse/transport.h"
#include "vfs/file_system.h"

namespace cider::fuse {

// Thread-safe.
class Notifier {
 public:
  // At most `limit` inodes and names wait; beyond, names are invalidated all together and inodes are left to
  // their timeouts.
  Notifier(ReplySink& sink, InterruptTable& interrupts, size_t limit = 64 << 10);
  ~Notifier() { stop(); }

  // Never waits, never fails. The change must be visible to requests before.
  void push(vfs::FileSystem::Invalidation change);
  // Drops what is queued, as later pushes are; who waits for it is called. After the connection has ended.
  void stop();

 private:
  struct Drop {
    bool data = false;  // the pages, too
    std::vector<std::move_only_function<void()>> then;
  };
  using Inodes = std::unordered_map<Ino, Drop>;
  using Names = std::set<std::pair<Ino, std::string>>;

  void run();
  void run_awaited();
  // The inodes whose pages can't be dropped now.
  Inodes send_inodes(Inodes inodes);
  void send_names(const Names& names);
  void send_epoch();
  void send_inode(Ino ino, bool with_pages);
  bool send(int code, std::span<const iovec> payload);

  ReplySink& sink_;
  InterruptTable& interrupts_;
  const size_t limit_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Inodes inodes_;
  Names names_;
  bool names_lost_ = false;
  bool somebody_waits_ = false;  // for what is in inodes_
  bool stopping_ = false;
  std::condition_variable awaited_changed_;
  Inodes awaited_;  // whose pages are in use, and somebody waits
  std::thread thread_;
  std::thread awaited_thread_;
};

}  // namespace cider::fuse
