// `.control`: tools write a request and read progress and result. Each open file is a channel of its own; a
// request runs on a thread and ends when the file is closed. Where the kernel lets nobody write, on a
// read-only mount, the ioctl kControlIoctl takes the place of write(2).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/caller.h"
#include "vfs/control_message.h"
#include "vfs/internal_file.h"

namespace cider::vfs {

// How far a command has come, for the progress frames.
struct ControlProgress {
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> total{0};
};

// Runs a request to its end and answers the final frame. `caller.interrupt` asks it to end early.
using ControlRunner = std::function<std::string(const Caller& caller, const ControlRequest& request,
                                                ControlProgress* progress)>;

// The bytes of a channel are what was written to it followed by what it answered, because a tool reads on
// from the offset where its writes have ended. Reading never waits: tools poll.
class ControlChannel : public InternalFile {
 public:
  explicit ControlChannel(ControlRunner run) : run_(std::move(run)) {}
  ~ControlChannel() override;

  Result<std::string> read(uint64_t off, uint32_t size, std::stop_token stop) override;
  // EBUSY while a request is running.
  Status write(const Caller& caller, std::string_view data) override { return take(caller, data, true); }
  Status ask(const Caller& caller, std::string_view data) override { return take(caller, data, false); }

 private:
  Status take(const Caller& caller, std::string_view data, bool may_change);
  void answer(std::string_view frame);
  void run_request(const Caller& caller, const ControlRequest& request);

  const ControlRunner run_;
  std::mutex mutex_;
  ControlAssembler assembler_;
  std::string bytes_;  // from offset dropped_
  uint64_t dropped_ = 0;
  std::atomic<bool> running_{false};
  std::jthread worker_;
};

}  // namespace cider::vfs
