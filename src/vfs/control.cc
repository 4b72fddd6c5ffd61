#include "vfs/control.h"

#include <chrono>
#include <condition_variable>

#include "base/log.h"

namespace cider::vfs {
namespace {

constexpr size_t kKeep = 1 << 20;  // bytes already read that are dropped at a time
constexpr auto kProgressEvery = std::chrono::milliseconds(300);

// Calls `tick` from a thread of its own at intervals until destroyed.
class Ticker {
 public:
  explicit Ticker(std::function<void()> tick)
      : thread_([this, tick = std::move(tick)](std::stop_token stop) {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, kProgressEvery, [&] { return stop.stop_requested(); })) tick();
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace

ControlChannel::~ControlChannel() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

void ControlChannel::answer(std::string_view frame) {
  std::lock_guard lock(mutex_);
  bytes_.append(frame);
}

Status ControlChannel::take(const Caller& caller, std::string_view data, bool may_change) {
  std::unique_lock lock(mutex_);
  if (running_) return fail(EBUSY);
  bytes_.append(data);
  auto message = assembler_.add(data);
  if (message && !*message) return {};
  Result<ControlRequest> request = fail(EIO);
  if (message) {
    request = parse_control_request((*message)->command, (*message)->payload);
  } else {
    request = fail(message.error());
  }
  // The mount may be writable and only this view of it, a bind mount, read-only.
  if (request && !may_change && changes_files(*request)) request = fail(EROFS);
  if (!request) {
    log::warning(".control: " + request.error().to_string());
    bytes_.append(error_frame(request.error().code));
    return {};
  }
  if (worker_.joinable()) worker_.join();  // it has answered already: running_ is false
  running_ = true;
  worker_ =
      std::jthread([this, who = Caller(caller), request = *std::move(request)](std::stop_token stop) mutable {
        who.interrupt = std::move(stop);
        run_request(who, request);
      });
  return {};
}

void ControlChannel::run_request(const Caller& caller, const ControlRequest& request) {
  ControlProgress progress;
  const auto report = [&] { answer(progress_frame(progress.done, progress.total)); };
  std::string result;
  {
    Ticker ticker(report);
    result = run_(caller, request, &progress);
  }
  if (progress.done > 0 || progress.total > 0) report();
  std::lock_guard lock(mutex_);
  bytes_.append(result);
  running_ = false;
}

Result<std::string> ControlChannel::read(uint64_t off, uint32_t size, std::stop_token) {
  std::lock_guard lock(mutex_);
  if (off < dropped_) return fail(EIO, "control: these bytes were read before");
  const uint64_t at = off - dropped_;
  if (at >= bytes_.size()) return std::string();
  std::string out = bytes_.substr(at, size);
  if (at > 2 * kKeep) {
    bytes_.erase(0, kKeep);
    dropped_ += kKeep;
  }
  return out;
}

}  // namespace cider::vfs
