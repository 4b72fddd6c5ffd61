// Looks for the next request for a moment, before its thread goes to sleep in read(). A program that makes
// one call after the other sends the next request within some 20 us of the last answer; waking a thread takes
// as long as that, and on virtual machines that halt idle processors several times as long.
//
// One thread at a time looks; it gives way to whoever else wants the processor, and looks ever more rarely
// while requests don't come that fast, so that a mount with little to do costs no processor time.
#pragma once

#include <atomic>
#include <chrono>

namespace cider::fuse {

class EagerWait {
 public:
  // `longest`: how long one look may take; 0: never look.
  explicit EagerWait(std::chrono::microseconds longest);

  // Returns when `device` has something to read, `longest` is over, or it is not worth a look. Thread-safe.
  void look(int device);

  unsigned looks() const { return looks_.load(std::memory_order_relaxed); }

 private:
  const std::chrono::microseconds longest_;
  std::atomic_flag looking_;
  std::atomic<unsigned> looks_{0};
  // Of the thread that looks.
  unsigned misses_ = 0;  // in a row
  unsigned skip_ = 0;    // requests until the next look
};

}  // namespace cider::fuse
