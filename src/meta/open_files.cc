#include "meta/open_files.h"

#include <algorithm>

namespace cider::meta {

void OpenFiles::open(Ino ino) {
  std::unique_lock lock(mutex_);
  ++inodes_[ino].handles;
  removal_done_.wait(lock, [&] { return inodes_[ino].removals == 0; });
}

bool OpenFiles::close(Ino ino) {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  if (it == inodes_.end() || it->second.handles == 0) return false;
  if (--it->second.handles > 0) return false;
  bool unlinked = it->second.unlinked;
  it->second.unlinked = false;
  it->second.locks.clear();
  if (it->second.removals == 0) inodes_.erase(it);
  return unlinked;
}

bool OpenFiles::is_open(Ino ino) const {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  return it != inodes_.end() && it->second.handles > 0;
}

bool OpenFiles::set_unlinked(Ino ino) {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  if (it == inodes_.end() || it->second.handles == 0) return false;
  it->second.unlinked = true;
  return true;
}

std::vector<Ino> OpenFiles::open_inodes() const {
  std::lock_guard lock(mutex_);
  std::vector<Ino> out;
  for (const auto& [ino, state] : inodes_) {
    if (state.handles > 0) out.push_back(ino);
  }
  return out;
}

void OpenFiles::note_lock(Ino ino, LockOwner owner, uint64_t sid) {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  if (it != inodes_.end() && it->second.handles > 0) it->second.locks.emplace(owner, sid);
}

void OpenFiles::forget_lock(Ino ino, LockOwner owner, uint64_t sid) {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  auto noted = it->second.locks.find(owner);
  if (noted != it->second.locks.end() && noted->second == sid) it->second.locks.erase(noted);
}

bool OpenFiles::has_locks(Ino ino) const {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  return it != inodes_.end() && !it->second.locks.empty();
}

std::vector<Ino> OpenFiles::locked_under(uint64_t sid) const {
  std::lock_guard lock(mutex_);
  std::vector<Ino> out;
  for (const auto& [ino, state] : inodes_) {
    bool held = std::ranges::any_of(state.locks, [&](const auto& noted) { return noted.second == sid; });
    if (held) out.push_back(ino);
  }
  return out;
}

bool OpenFiles::has_lost_locks(Ino ino, uint64_t sid) const {
  std::lock_guard lock(mutex_);
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return false;
  return std::ranges::any_of(it->second.locks, [&](const auto& noted) { return noted.second != sid; });
}

OpenFiles::Removal::~Removal() {
  if (marked_.empty()) return;
  std::lock_guard lock(files_.mutex_);
  for (Ino ino : marked_) {
    auto it = files_.inodes_.find(ino);
    if (--it->second.removals == 0 && it->second.handles == 0) files_.inodes_.erase(it);
  }
  files_.removal_done_.notify_all();
}

bool OpenFiles::Removal::sample_open(Ino ino) {
  std::lock_guard lock(files_.mutex_);
  State& state = files_.inodes_[ino];
  if (std::find(marked_.begin(), marked_.end(), ino) == marked_.end()) {
    marked_.push_back(ino);
    ++state.removals;
  }
  return state.handles > 0;
}

}  // namespace cider::meta
