// A thread that serves requests over an io_uring of its own: one entry, so one request at a time. The answer
// to a request and the question for the next are one system call.
//
// Requests come from the queue of the processor that their callers run on. A worker is tied to that
// processor, so that nobody has to wake another one, which on virtual machines takes longer than all the
// rest. While it moves large data it runs anywhere: that takes time, in which the caller has something to do,
// too.
//
// A request that another thread answers later keeps its worker waiting: only the thread that asked before
// can hand an answer over.
// Protocol: Linux Documentation/filesystems/fuse/fuse-io-uring.rst (6.14), include/uapi/linux/fuse.h (7.42).
#pragma once

#include <sched.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/budget.h"
#include "base/result.h"
#include "fuse/ring_memory.h"
#include "fuse/transport.h"

struct io_uring;

namespace cider::fuse {

// The workers of one processor, as one of them sees them. Thread-safe.
class RingCrew {
 public:
  virtual ~RingCrew() = default;
  // This worker has a request from begin() to end(); from wait() to go_on() it only waits for its answer.
  virtual void begin() = 0;
  virtual void wait() = 0;
  virtual void go_on() = 0;
  virtual void end() = 0;
  // Whether the request is the crew's own, which wants nothing but an answer.
  virtual bool is_own(const fuse_in_header& header) = 0;
  // Whether one more worker may keep the memory of large requests.
  virtual bool may_keep_memory() = 0;
};

struct RingWorkerOptions {
  int device = -1;         // /dev/fuse
  unsigned processor = 0;  // whose queue this serves
  cpu_set_t allowed{};     // the processors that the process may use
  size_t max_write = 1 << 20;
  MemoryBudget* budget = nullptr;      // may be null
  ReplySink* notifications = nullptr;  // they don't go through rings
};

class RingWorker final : public ReplySink {
 public:
  // Why this process can have no rings: ENOSYS, EPERM, ENOMEM ...
  static Status probe();

  RingWorker(const RingWorkerOptions& options, RingCrew& crew);
  ~RingWorker() override;

  // Makes the ring and offers it to the kernel, after INIT. On the thread that calls run() then.
  Status open();
  // Serves until the connection has ended. An error: it has not, but this worker can't go on.
  Status run(RequestHandler& handler);

  bool answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept override;
  Status notify(int code, std::span<const iovec> payload) override;

 private:
  struct RingDeleter {
    void operator()(io_uring* ring) const;
  };

  void prepare(uint32_t command, uint64_t commit_id);
  int wait();
  void serve(RequestHandler& handler);
  void choose_processors(size_t bytes);
  void use(size_t bytes);
  void shrink();

  const RingWorkerOptions options_;
  RingCrew& crew_;
  RingMemory memory_;
  std::unique_ptr<io_uring, RingDeleter> ring_;
  std::atomic<uint32_t> answered_{0};
  bool tied_ = false;
  unsigned misplaced_ = 0;  // requests in a row for which it would be better the other way
  bool keeps_memory_ = false;
  std::optional<BudgetCharge> charge_;  // for large requests
};

}  // namespace cider::fuse
