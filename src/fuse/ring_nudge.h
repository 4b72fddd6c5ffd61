// Requests of our own to a mount of ours: one to a processor's queue, so that its kernel side looks what else
// is waiting there. They are answered by whoever gets them (is()), with an error, and ask nothing of the file
// system.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fuse/protocol.h"

namespace cider::fuse {

// Thread-safe.
class RingNudge {
 public:
  explicit RingNudge(std::string mountpoint) : mountpoint_(std::move(mountpoint)) {}
  ~RingNudge() { join(); }

  // Sends one, on a thread of its own.
  void start(unsigned processor);
  // Whether a request is one of them.
  bool is(const fuse_in_header& header);
  // Waits until all have been answered. Nobody starts another at the same time.
  void join();

 private:
  void send(unsigned processor);

  const std::string mountpoint_;
  std::atomic<unsigned> under_way_{0};
  std::atomic<bool> told_{false};  // that a processor is not ours
  std::mutex mutex_;
  std::set<uint32_t> callers_;  // thread ids
  std::vector<std::jthread> threads_;
};

}  // namespace cider::fuse
