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

void Notifier::push(vfs::FileSystem::Invalidation change) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    lock.unlock();
    if (change.then) change.then();
    return;
  }
  if (change.ino != 0 && (inodes_.size() < limit_ || change.then || inodes_.contains(change.ino))) {
    Drop& drop = inodes_[change.ino];
    drop.data |= change.data;
    if (change.then) drop.then.push_back(std::move(change.then));
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
  for (auto& [ino, drop] : std::exchange(inodes_, {})) {
    for (auto& then : drop.then) then();
  }
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
    Inodes busy = send_inodes(std::move(inodes));
    lock.lock();
    for (const auto& [ino, drop] : busy) inodes_[ino].data |= drop.data;
    if (!busy.empty()) changed_.wait_for(lock, kBusyPause, [&] { return stopping_; });
  }
}

Notifier::Inodes Notifier::send_inodes(Inodes inodes) {
  Inodes busy;
  for (auto& [ino, drop] : inodes) {
    // An offset of 0 waits for the page locks of requests in flight, which a stalled store may hold for long;
    // -1 touches the attributes only. Where somebody waits, other requests may keep the inode busy for ever.
    const bool wait = drop.data && drop.then.empty() && interrupts_.has_io(ino);
    if (wait) busy[ino].data = true;
    fuse_notify_inval_inode_out out{.ino = ino, .off = drop.data && !wait ? 0 : -1, .len = 0};
    iovec piece{&out, sizeof out};
    send(FUSE_NOTIFY_INVAL_INODE, {&piece, 1});
    for (auto& then : drop.then) then();
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
