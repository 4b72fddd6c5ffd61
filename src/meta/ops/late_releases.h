// Releases of locks that failed because the engine was away for too long: made up for later, since a lock
// that nobody releases stays as long as this client lives.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>

#include "base/result.h"
#include "base/slow_lock.h"
#include "meta/open_files.h"

namespace cider::meta {

// Thread-safe.
class LateReleases {
 public:
  // May be called again after it failed.
  using Release = std::function<Status()>;

  // `failed` is why the release did not succeed.
  void owe(Ino ino, OpenFiles::LockOwner owner, const Error& failed, Release release);
  // Before the owner locks the inode again, so that a late release does not hit the new lock. The error of
  // what still fails; EINTR if `stop` is requested while somebody else is at it.
  Status settle(Ino ino, OpenFiles::LockOwner owner, std::stop_token stop);
  // All of them, until one fails. With each heartbeat.
  void settle_all();

 private:
  struct Owed {
    Ino ino = 0;
    OpenFiles::LockOwner owner;
    Release release;
  };
  Status settle_those(const std::function<bool(const Owed&)>& chosen);

  SlowLock settling_;  // one at a time, so that no release is still under way when its owner locks
  std::mutex mutex_;
  std::list<Owed> owed_;
  std::atomic<size_t> count_{0};
};

}  // namespace cider::meta
