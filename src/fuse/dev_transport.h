// The transport over /dev/fuse: threads that read requests and run their handlers, answers by writev from any
// thread.
//
// Handlers may block, so there are always some threads in read(): when one takes a request and fewer than
// min_receivers are left, another is woken or started. A thread that is done goes back to read() unless
// max_receivers are there already; then it parks without a buffer. A few receivers are as fast as many when
// handlers don't block, and each holds up to 1 MiB. Where many callers wait for the store, handlers block and
// go on all the time: threads beyond `parked` end only when nobody has needed them for a while.
//
// However many handlers block, somebody reads on, so that INTERRUPTs get through: with all threads at work,
// the last receiver only sets requests aside, for the next thread that is done.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "base/buffer.h"
#include "base/unique_fd.h"
#include "fuse/eager_wait.h"
#include "fuse/transport.h"

namespace cider::fuse {

struct DevTransportOptions {
  size_t max_write = 1 << 20;  // bytes; a multiple of the page size
  unsigned min_receivers = 2;
  unsigned max_receivers = 8;
  unsigned parked = 16;        // threads kept though there is nothing to do
  unsigned most_parked = 128;  // and those kept for park_time
  std::chrono::milliseconds park_time{5000};
  unsigned max_threads = 512;
  std::chrono::microseconds eager_wait{50};  // for the next request, awake; 0: sleep at once
  MemoryBudget* budget = nullptr;            // charged with the receive buffers; may be null
};

class DevTransport final : public Transport {
 public:
  // `device` is /dev/fuse, mounted or about to be.
  DevTransport(UniqueFd device, const DevTransportOptions& options);
  // wait_closed() and join() must have returned if start() was called.
  ~DevTransport() override = default;

  Status start(RequestHandler& handler) override;
  void wait_closed() override;
  void join() override;

  bool answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept override;
  Status notify(int code, std::span<const iovec> payload) override;

  int device() const { return device_.get(); }  // as long as this
  bool closed() const { return closed_; }
  unsigned set_aside() const { return set_aside_count_; }
  unsigned thread_count() const;

 private:
  using Threads = std::list<std::thread>;
  struct Message {
    Buffer buffer;
    std::string_view bytes;  // in it
  };

  void run(Threads::iterator self);
  bool receive(Buffer& buffer);
  bool next_turn(Buffer& buffer, bool receives);
  bool try_receiving();
  bool park(Buffer& buffer);
  Message copy(std::string_view bytes) const;
  void set_aside(std::string_view bytes);
  bool run_set_aside();
  void add_receiver();
  Status start_thread(std::unique_lock<std::mutex>& lock);
  void close(int error);
  Buffer new_buffer();

  const UniqueFd device_;
  const DevTransportOptions options_;
  RequestHandler* handler_ = nullptr;
  std::atomic<unsigned> receivers_{0};  // threads in read(), or on the way there
  std::atomic<unsigned> handling_{0};   // threads in a handler
  std::atomic<unsigned> set_aside_count_{0};
  std::atomic<bool> closed_{false};
  EagerWait eager_wait_;

  mutable std::mutex mutex_;         // guards what follows
  std::condition_variable wake_;     // for parked threads
  std::condition_variable changed_;  // a thread has ended, or the connection
  Threads threads_;
  Threads ended_;  // to be joined
  unsigned parked_ = 0;
  unsigned wakes_ = 0;  // parked threads that shall become receivers
  std::deque<Message> set_aside_;
};

}  // namespace cider::fuse
