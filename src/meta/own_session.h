// This client's session: what its locks and its unlinked open files hang on. Others take a client whose
// session has expired for dead and clean up after it; so a client that was paused stops changing things
// before that, and learns what it lost before it goes on.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "base/slow_lock.h"
#include "meta/open_files.h"
#include "meta/store/store.h"

namespace cider::meta {

struct MetaOptions;

// Thread-safe.
class OwnSession {
 public:
  OwnSession(Store& store, const MetaOptions& options, const Clock& clock, OpenFiles& open_files)
      : store_(store), options_(options), clock_(clock), open_files_(open_files) {}

  Status begin();
  // 0 before begin(). Another one than before: the old one was cleaned up, with its locks.
  uint64_t id() const { return id_.load(std::memory_order_acquire); }
  // Nothing may be changed until renew() has succeeded: by now, or soon, others may take us for dead.
  // Always false without a session.
  bool is_overdue() const;
  // The heartbeat: moves the expiry. Where the session was cleaned up it registers a new one.
  Status renew();
  // renew() for who found the session `seen` overdue or gone; nothing where another has done it since.
  // EINTR if `stop` is requested first.
  Status recover(uint64_t seen, std::stop_token stop);

 private:
  int64_t lease() const;
  Status renew_locked(const std::stop_token& stop);
  Status put(uint64_t id, const std::stop_token& stop);
  void acknowledge(Monotonic::time_point sent, int64_t expire);
  Result<bool> has_its_locks(uint64_t id);

  Store& store_;
  const MetaOptions& options_;
  const Clock& clock_;
  OpenFiles& open_files_;
  SlowLock renewing_;         // one at a time
  uint64_t incarnation_ = 0;  // the engine's, when the locks were known to be there
  std::atomic<uint64_t> id_{0};
  // The last expiry that was acknowledged, by both clocks: the wall clock goes on while a machine sleeps, the
  // monotonic one when somebody sets the time back.
  std::atomic<int64_t> expire_{0};  // unix seconds
  std::atomic<Monotonic::time_point> expire_monotonic_{};
};

}  // namespace cider::meta
