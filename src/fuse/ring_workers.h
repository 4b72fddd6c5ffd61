// The workers of a mount whose requests come over io_uring (ring_worker.h). The kernel has a queue for each
// processor, and each queue has workers of its own: always one more than are at work, as handlers may block.
// They stay: a worker that leaves could take a request with it.
//
// Requests that find no worker free wait in the queue until one of them has answered; the kernel does not
// give them to a worker that joins. So whoever joins sees to it that it gets a request (ring_nudge.h), after
// which it is given what waits.
//
// INIT, INTERRUPTs, FORGETs and notifications go through /dev/fuse as ever.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fuse/interrupts.h"
#include "fuse/ring_nudge.h"
#include "fuse/ring_worker.h"

namespace cider::fuse {

struct RingOptions {
  // Requests that are worked on at once, on all processors, before no more workers start; those that only
  // wait for an answer don't count.
  unsigned max_busy = 512;
  unsigned first_workers = 2;  // of a processor
};

class RingWorkers {
 public:
  // Why a mount can't have its requests over io_uring, and what to do.
  static Status probe(size_t max_write);

  // `worker` says what all workers have in common; what it and the others refer to outlives this.
  RingWorkers(const RingOptions& options, const RingWorkerOptions& worker, const std::string& mountpoint,
              InterruptTable& interrupts);
  // join() must have returned if start() was called.
  ~RingWorkers();

  // After INIT has promised the kernel rings: until each processor has a worker it holds all requests back.
  // After an error the connection has to be aborted.
  Status start(RequestHandler& handler);
  // Waits until no worker is left. After the connection has ended.
  void join();

 private:
  class Crew;
  void add(Crew& crew);
  Status start_thread(Crew& crew, bool joins_late);
  void run(Crew& crew, bool joins_late);
  void leave(Crew& crew, const Status& end);
  void look_after_all(const std::stop_token& stop);

  const RingOptions options_;
  RingWorkerOptions worker_options_;
  InterruptTable& interrupts_;
  RequestHandler* handler_ = nullptr;
  RingNudge nudge_;
  std::vector<std::unique_ptr<Crew>> crews_;  // by processor
  size_t keep_memory_ = 16;                   // workers that may keep the memory of a large request
  std::atomic<unsigned> busy_{0};             // workers with a request
  std::atomic<unsigned> waiting_{0};          // workers whose requests are answered later
  std::atomic<unsigned> keeping_memory_{0};   // workers

  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::list<std::thread> threads_;
  unsigned running_ = 0;
  bool ending_ = false;
  unsigned opened_ = 0;  // workers that have offered their ring
  Status failed_;        // the first error
  std::jthread watcher_;
};

}  // namespace cider::fuse
