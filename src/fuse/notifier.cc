#include "fuse/notifier.h"

#include <chrono>

#include "base/log.h"

namespace cider::fuse {
namespace {

// How long pages wait that a READ or WRITE in flight holds.
constexpr auto kBusyPause = std::chrono::milliseconds(10);

}  // namespace

Notifier::Notifier(ReplySink& sink, InterruptTable& interrupts, size_t limit)
    : sink_(sink), interrupts_(interrupts), limit_(limit), thread_([this] { run(); }) {}

void Notifier::push(const vfs::FileSystem::Invalidation& change) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (change.ino != 0) {
    auto known = inodes_.find(change.ino);
    if (known != inodes_.end()) {
      known->second |= change.data;
    } else if (inodes_.size() < limit_) {
      inodes_.emplace(change.ino, change.data);
    }
  }
  if (!change.name.empty()) {
    if (names_.size() < limit_) {
      names_.emplace(change.parent, change.name);
    } else {
      names_lost_ = true;
    }
  }
  changed_.notify_one();
}

void Notifier::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Notifier::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || names_lost_ || !inodes_.empty() || !names_.empty(); });
    if (stopping_) return;
    Inodes inodes = std::exchange(inodes_, {});
    Names names = std::exchange(names_, {});
    bool names_lost = std::exchange(names_lost_, false);
    lock.unlock();
    if (names_lost) send_epoch();
    send_names(names);
    Inodes busy = send_inodes(inodes);
    lock.lock();
    for (const auto& [ino, data] : busy) inodes_[ino] |= data;
    if (!busy.empty()) changed_.wait_for(lock, kBusyPause, [&] { return stopping_; });
  }
}

Notifier::Inodes Notifier::send_inodes(const Inodes& inodes) {
  Inodes busy;
  for (const auto& [ino, data] : inodes) {
    // An offset of 0 waits for the page locks of requests in flight, which a stalled store may hold for long;
    // -1 touches the attributes only.
    bool wait = data && interrupts_.has_io(ino);
    if (wait) busy.emplace(ino, true);
    fuse_notify_inval_inode_out out{.ino = ino, .off = data && !wait ? 0 : -1, .len = 0};
    iovec piece{&out, sizeof out};
    send(FUSE_NOTIFY_INVAL_INODE, {&piece, 1});
  }
  return busy;
}

void Notifier::send_names(const Names& names) {
  for (const auto& [parent, name] : names) {
    fuse_notify_inval_entry_out out{
        .parent = parent, .namelen = static_cast<uint32_t>(name.size()), .flags = 0};
    iovec pieces[] = {{&out, sizeof out}, {const_cast<char*>(name.c_str()), name.size() + 1}};
    send(FUSE_NOTIFY_INVAL_ENTRY, pieces);
  }
}

void Notifier::send_epoch() {
  if (!send(kNotifyIncEpoch, {})) {
    log::warning(
        "fuse: too many changed names at once; the kernel's cached names are right again after their "
        "timeout");
  }
}

bool Notifier::send(int code, std::span<const iovec> payload) {
  Status sent = sink_.notify(code, payload);
  // ENOENT: the kernel has nothing cached under that name or number.
  if (!sent && sent.error().code != ENOENT) {
    log::debug("fuse: notification " + std::to_string(code) + ": " + sent.error().to_string());
  }
  return sent.has_value();
}

}  // namespace cider::fuse
