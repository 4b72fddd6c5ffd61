#include "fuse/ring_workers.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "fuse/receiver_thread.h"

namespace cider::fuse {
namespace {

// A request may carry as much but for WRITEs: an extended attribute and its name.
constexpr size_t kMinPayload = 128 << 10;
constexpr auto kLook = std::chrono::seconds(1);

}  // namespace

class RingWorkers::Crew final : public RingCrew {
 public:
  Crew(RingWorkers& all, unsigned its_processor) : processor(its_processor), all_(all) {}

  void begin() override {
    all_.busy_.fetch_add(1);
    if (idle_.fetch_sub(1) == 1) all_.add(*this);
  }
  void wait() override {
    all_.waiting_.fetch_add(1);
    help_if_short();
  }
  void go_on() override { all_.waiting_.fetch_sub(1); }
  void end() override {
    idle_.fetch_add(1);
    all_.busy_.fetch_sub(1);
  }
  // Where one more was refused, or could not start.
  void help_if_short() {
    if (idle_ <= 0) all_.add(*this);
  }
  bool is_own(const fuse_in_header& header) override { return all_.nudge_.is(header); }
  bool may_keep_memory() override {
    unsigned now = all_.keeping_memory_.load();
    while (now < all_.keep_memory_) {
      if (all_.keeping_memory_.compare_exchange_weak(now, now + 1)) return true;
    }
    return false;
  }

  void joins() { idle_.fetch_add(1); }
  void leaves() { idle_.fetch_sub(1); }

  const unsigned processor;

 private:
  RingWorkers& all_;
  std::atomic<int> idle_{0};
};

Status RingWorkers::probe(size_t max_write) {
  if (max_write < kMinPayload) {
    return fail(EINVAL, "requests over io_uring need --max-fuse-io of 128K at least");
  }
  if (Status can = RingWorker::probe(); !can) {
    return fail(can.error().code, "requests over io_uring: " + can.error().to_string() +
                                      "; is it allowed here (sysctl kernel.io_uring_disabled, seccomp)?");
  }
  return {};
}

RingWorkers::RingWorkers(const RingOptions& options, const RingWorkerOptions& worker,
                         const std::string& mountpoint, InterruptTable& interrupts)
    : options_(options), worker_options_(worker), interrupts_(interrupts), nudge_(mountpoint) {
  // What is kept counts in the budget, of which it is to be a small part.
  if (worker.budget)
    keep_memory_ = std::min<size_t>(keep_memory_, worker.budget->limit() / 16 / worker.max_write);
  (void)::sched_getaffinity(0, sizeof worker_options_.allowed, &worker_options_.allowed);
  const long processors = ::sysconf(_SC_NPROCESSORS_CONF);
  for (long i = 0; i < processors; ++i) {
    crews_.push_back(std::make_unique<Crew>(*this, static_cast<unsigned>(i)));
  }
}

RingWorkers::~RingWorkers() = default;

Status RingWorkers::start(RequestHandler& handler) {
  handler_ = &handler;
  const size_t first = crews_.size() * options_.first_workers;
  std::unique_lock lock(mutex_);
  for (size_t i = 0; i < first; ++i) TRY(start_thread(*crews_[i % crews_.size()], /*joins_late=*/false));
  changed_.wait(lock, [&] { return opened_ >= first || !failed_; });
  watcher_ = std::jthread([this](const std::stop_token& stop) { look_after_all(stop); });
  return failed_;
}

// With mutex_ held. The new worker counts as idle from here on, so that nobody starts another for the same
// need.
Status RingWorkers::start_thread(Crew& crew, bool joins_late) {
  crew.joins();
  ++running_;
  try {
    threads_.emplace_back([=, this, &crew] { run(crew, joins_late); });
  } catch (const std::system_error& e) {
    --running_;
    crew.leaves();
    return fail(e.code().value(), std::string("can't start a thread for requests: ") + e.what());
  }
  return {};
}

void RingWorkers::add(Crew& crew) {
  std::lock_guard lock(mutex_);
  if (ending_ || busy_ >= waiting_ + options_.max_busy) return;
  if (Status started = start_thread(crew, /*joins_late=*/true); !started)
    log::warning("fuse: " + started.error().to_string());
}

void RingWorkers::run(Crew& crew, bool joins_late) {
  prepare_receiver_thread("fuse-ring");
  RingWorkerOptions options = worker_options_;
  options.processor = crew.processor;
  RingWorker worker(options, crew);
  if (Status opened = worker.open(); !opened) return leave(crew, opened);
  {
    std::lock_guard lock(mutex_);
    ++opened_;
    changed_.notify_all();
  }
  if (joins_late) nudge_.start(crew.processor);
  leave(crew, worker.run(*handler_));
}

void RingWorkers::leave(Crew& crew, const Status& end) {
  if (!end) log::error("fuse: processor " + std::to_string(crew.processor) + ": " + end.error().to_string());
  std::lock_guard lock(mutex_);
  crew.leaves();
  --running_;
  if (end) ending_ = true;
  if (!end && failed_) failed_ = end;
  changed_.notify_all();
}

void RingWorkers::look_after_all(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, stop, kLook, [] { return false; }) && !stop.stop_requested()) {
    lock.unlock();
    interrupts_.stop_killed();
    for (auto& crew : crews_) crew->help_if_short();
    lock.lock();
  }
}

void RingWorkers::join() {
  watcher_ = {};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  std::list<std::thread> threads = std::exchange(threads_, {});
  lock.unlock();
  for (std::thread& thread : threads) thread.join();
  nudge_.join();
}

}  // namespace cider::fuse
