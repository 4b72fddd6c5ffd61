#include "fuse/interrupts.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace cider::fuse {
namespace {

constexpr auto kWatchPeriod = std::chrono::milliseconds(50);

// How long a request goes on after a signal that does not kill its caller.
std::chrono::steady_clock::duration patience(uint32_t opcode) {
  switch (opcode) {
    case FUSE_SETLK:
    case FUSE_SETLKW:
      return {};
    case FUSE_READ:
    case FUSE_WRITE:
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case kOpCopyFileRange64:
    case FUSE_IOCTL:
      return std::chrono::seconds(1);
    default:
      return std::chrono::steady_clock::duration::max();
  }
}

constexpr uint64_t signal_bit(int signal) {
  return 1ULL << (signal - 1);
}

// Signals that don't end a process that has no handler for them.
constexpr uint64_t kHarmless = signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) |
                               signal_bit(SIGWINCH) | signal_bit(SIGSTOP) | signal_bit(SIGTSTP) |
                               signal_bit(SIGTTIN) | signal_bit(SIGTTOU);

// Whether a signal is pending that will end the thread. Nothing if that can't be seen: it is gone, or in a
// PID namespace that is not ours.
std::optional<bool> has_fatal_signal(uint32_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  uint64_t pending = 0;
  uint64_t withheld = 0;  // blocked, ignored or handled
  bool seen = false;
  for (std::string line; std::getline(status, line);) {
    bool is_pending = line.starts_with("SigPnd:") || line.starts_with("ShdPnd:");
    bool is_withheld =
        line.starts_with("SigBlk:") || line.starts_with("SigIgn:") || line.starts_with("SigCgt:");
    if (!is_pending && !is_withheld) continue;
    uint64_t mask = std::strtoull(line.c_str() + 7, nullptr, 16);
    (is_pending ? pending : withheld) |= mask;
    seen = true;
  }
  if (!seen) return std::nullopt;
  return pending & signal_bit(SIGKILL) || pending & ~withheld & ~kHarmless;
}

bool is_being_killed(uint32_t pid) {
  return has_fatal_signal(pid).value_or(true);
}

// The most frequent request that can be interrupted is not to cost an allocation: a READ that has ended
// without a stop leaves its source to its thread's next one. Nobody keeps a token of a READ that was
// answered, but for work that nobody waits for any more.
thread_local std::stop_source spare(std::nostopstate);

std::stop_source source_for(uint32_t opcode) {
  if (opcode != FUSE_READ || !spare.stop_possible()) return {};
  return std::exchange(spare, std::stop_source(std::nostopstate));
}

}  // namespace

InterruptTable::Entry::Entry(InterruptTable& table, const fuse_in_header& header)
    : table_(table),
      unique_(header.unique),
      nodeid_(header.nodeid),
      opcode_(header.opcode),
      pid_(header.pid),
      stop_(source_for(header.opcode)) {
  Shard& shard = table_.shard_of(unique_);
  bool was_early = false;
  {
    std::lock_guard lock(shard.mutex);
    next_ = shard.first;
    if (next_) next_->previous_ = this;
    shard.first = this;
    auto early = std::find(shard.early.begin(), shard.early.end(), unique_);
    was_early = unique_ != 0 && early != shard.early.end();
    if (was_early) *early = 0;
  }
  if (table_.closed_) stop_.request_stop();
  if (was_early) table_.apply(stop_, unique_, opcode_, pid_);
}

InterruptTable::Entry::~Entry() {
  Shard& shard = table_.shard_of(unique_);
  bool shared;
  {
    std::lock_guard lock(shard.mutex);
    if (next_) next_->previous_ = previous_;
    (previous_ ? previous_->next_ : shard.first) = next_;
    shared = shared_;
  }
  if (opcode_ == FUSE_READ && !shared && !stop_.stop_requested()) spare = std::move(stop_);
}

InterruptTable::~InterruptTable() {
  // The watcher uses what is destroyed before it would be joined.
  watcher_ = {};
}

void InterruptTable::interrupt(uint64_t unique) {
  Shard& shard = shard_of(unique);
  std::optional<std::stop_source> stop;
  uint32_t opcode = 0;
  uint32_t pid = 0;
  {
    std::lock_guard lock(shard.mutex);
    for (Entry* entry = shard.first; entry && !stop; entry = entry->next_) {
      if (entry->unique_ != unique) continue;
      stop = entry->share();
      opcode = entry->opcode_;
      pid = entry->pid_;
    }
    if (!stop) shard.early[shard.next_early++ % shard.early.size()] = unique;
  }
  // Not under the lock: what runs on request_stop() may answer the request and take it out of the table.
  if (stop) apply(*stop, unique, opcode, pid);
}

void InterruptTable::apply(const std::stop_source& stop, uint64_t unique, uint32_t opcode, uint32_t pid) {
  const auto wait = patience(opcode);
  if (wait.count() == 0 || is_being_killed(pid)) {
    stop.request_stop();
  } else {
    constexpr auto never = std::chrono::steady_clock::time_point::max();
    const bool forever = wait == std::chrono::steady_clock::duration::max();
    watch({unique, pid, forever ? never : std::chrono::steady_clock::now() + wait});
  }
}

std::stop_source InterruptTable::find(uint64_t unique) {
  Shard& shard = shard_of(unique);
  std::lock_guard lock(shard.mutex);
  for (Entry* entry = shard.first; entry; entry = entry->next_) {
    if (entry->unique_ == unique) return entry->share();
  }
  return std::stop_source(std::nostopstate);
}

void InterruptTable::watch(const Watched& request) {
  std::lock_guard lock(watch_mutex_);
  watched_.push_back(request);
  if (!watcher_.joinable()) watcher_ = std::jthread([this](std::stop_token stop) { watch_loop(stop); });
  watch_changed_.notify_all();
}

void InterruptTable::watch_loop(std::stop_token stop) {
  std::unique_lock lock(watch_mutex_);
  while (watch_changed_.wait(lock, stop, [&] { return !watched_.empty(); })) {
    std::vector<Watched> round = std::exchange(watched_, {});
    lock.unlock();
    std::erase_if(round, [&](const Watched& request) {
      std::stop_source source = find(request.unique);
      if (!source.stop_possible()) return true;  // answered
      const bool ends = std::chrono::steady_clock::now() >= request.until || is_being_killed(request.pid);
      return ends && source.request_stop();
    });
    lock.lock();
    watched_.insert(watched_.end(), round.begin(), round.end());
    if (!watched_.empty()) watch_changed_.wait_for(lock, stop, kWatchPeriod, [] { return false; });
  }
}

void InterruptTable::stop_killed() {
  std::vector<std::pair<uint64_t, uint32_t>> old;  // unique, pid
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (Entry* entry = shard.first; entry; entry = entry->next_) {
      if (std::exchange(entry->looked_at_, true)) old.emplace_back(entry->unique_, entry->pid_);
    }
  }
  for (const auto& [unique, pid] : old) {
    if (has_fatal_signal(pid).value_or(false)) find(unique).request_stop();
  }
}

void InterruptTable::close() {
  closed_ = true;
  for (Shard& shard : shards_) {
    std::vector<std::stop_source> sources;
    {
      std::lock_guard lock(shard.mutex);
      for (Entry* entry = shard.first; entry; entry = entry->next_) sources.push_back(entry->share());
    }
    for (const std::stop_source& source : sources) source.request_stop();
  }
}

void InterruptTable::drain() {
  auto next_report = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    size_t left = 0;
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      for (Entry* entry = shard.first; entry; entry = entry->next_) ++left;
    }
    if (left == 0) return;
    if (std::chrono::steady_clock::now() >= next_report) {
      log::warning("fuse: waiting for " + std::to_string(left) + " requests that are still being worked on");
      next_report += std::chrono::seconds(10);
    }
    // Only at the end of a mount, so that no request pays for waking us.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool InterruptTable::has_io(uint64_t nodeid) {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (Entry* entry = shard.first; entry; entry = entry->next_) {
      if (entry->nodeid_ == nodeid && (entry->opcode_ == FUSE_READ || entry->opcode_ == FUSE_WRITE))
        return true;
    }
  }
  return false;
}

}  // namespace cider::fuse
