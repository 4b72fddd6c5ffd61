// Limits of a client's transfer to and from its store: --upload-limit and --download-limit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "object/object_store.h"

namespace cider::object {

// A token bucket that holds a tenth of a second's bytes. Thread-safe; the rate may change at any time, and
// those that wait go by the new one.
class RateLimit {
 public:
  explicit RateLimit(int64_t mbps = 0, const Clock& clock = Clock::system()) : clock_(clock) { set(mbps); }

  // In Mbps (millions of bits a second) of object data; 0: no limit.
  void set(int64_t mbps);
  int64_t mbps() const { return mbps_.load(std::memory_order_relaxed); }

  // Waits until `bytes` may be transferred, piece by piece. Pieces go in turn to who has waited longest and
  // to who needs least: large objects are let through one after the other, not all at the end, and a small
  // one does not wait for the whole of a large one. EINTR on `stop`; nothing counts as taken then.
  Status take(size_t bytes, const std::stop_token& stop);
  // Counts bytes whose number was not known before: whoever comes next waits for them.
  void count(size_t bytes);
  // Takes back what was taken for a transfer that did not happen.
  void give_back(size_t bytes);

 private:
  struct Waiter {
    size_t left = 0;
    std::condition_variable_any changed;
  };

  Status await_piece(Waiter& self, std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  Waiter& next();
  void refill();

  const Clock& clock_;
  std::atomic<int64_t> mbps_{0};
  std::mutex mutex_;
  std::list<Waiter> waiting_;      // in the order they came
  bool smallest_is_next_ = false;  // else the oldest
  double rate_ = 0;                // bytes a second
  double tokens_ = 0;              // below 0: owed
  Monotonic::time_point filled_;
};

struct RateLimits {
  RateLimit upload;
  RateLimit download;
};

// `inner`, whose object data is transferred no faster than `limits` say. What a request needs is waited for
// before it starts; it then goes as fast as the link lets it. Slowed down while it runs, one request among
// many would last until its time limit ends it, and would seem slow to who sends slow ones twice.
std::unique_ptr<ObjectStore> with_limits(std::unique_ptr<ObjectStore> inner,
                                         std::shared_ptr<RateLimits> limits);

}  // namespace cider::object
