#include "fuse/notifier.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/log.h"

namespace cider::fuse {
namespace {

// How long pages wait that a READ or WRITE in flight holds.
constexpr auto kBusyPause = std::chrono::milliseconds(10);

}  // namespace

Notifier::Notifier(ReplySink& sink, InterruptTable& interrupts, size_t limit)
    : sink_(sink),
      interrupts_(interrupts),
      limit_(limit),
      thread_([this] { run(); }),
      awaited_thread_([this] { run_awaited(); }) {}

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
    if (change.then) {
      drop.then.push_back(std::move(change.then));
      somebody_waits_ = true;
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
    awaited_changed_.notify_one();
  }
  for (std::thread* thread : {&thread_, &awaited_thread_}) {
    if (thread->joinable()) thread->join();
  }
  for (Inodes* inodes : {&inodes_, &awaited_}) {
    for (auto& [ino, drop] : std::exchange(*inodes, {})) {
      for (auto& then : drop.then) then();
    }
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
    somebody_waits_ = false;
    lock.unlock();
    if (names_lost) send_epoch();
    send_names(names);
    Inodes busy = send_inodes(std::move(inodes));
    lock.lock();
    for (const auto& [ino, drop] : busy) inodes_[ino].data |= drop.data;
    if (!busy.empty()) changed_.wait_for(lock, kBusyPause, [&] { return stopping_ || somebody_waits_; });
  }
}

void Notifier::run_awaited() {
  std::unique_lock lock(mutex_);
  for (;;) {
    awaited_changed_.wait(lock, [&] { return stopping_ || !awaited_.empty(); });
    if (stopping_) return;
    auto first = awaited_.extract(awaited_.begin());
    lock.unlock();
    send_inode(first.key(), true);
    for (auto& then : first.mapped().then) then();
    lock.lock();
  }
}

Notifier::Inodes Notifier::send_inodes(Inodes inodes) {
  Inodes busy;
  for (auto& [ino, drop] : inodes) {
    const bool in_use = drop.data && interrupts_.has_io(ino);
    if (in_use && !drop.then.empty()) {
      std::lock_guard lock(mutex_);
      auto& waiters = awaited_[ino].then;
      std::ranges::move(drop.then, std::back_inserter(waiters));
      awaited_changed_.notify_one();
      continue;
    }
    if (in_use) busy[ino].data = true;
    send_inode(ino, drop.data && !in_use);
    for (auto& then : drop.then) then();
  }
  return busy;
}

// An offset of -1 leaves the pages alone.
void Notifier::send_inode(Ino ino, bool with_pages) {
  fuse_notify_inval_inode_out out{.ino = ino, .off = with_pages ? 0 : -1, .len = 0};
  iovec piece{&out, sizeof out};
  send(FUSE_NOTIFY_INVAL_INODE, {&piece, 1});
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
