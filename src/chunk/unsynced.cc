#include "chunk/unsynced.h"

namespace cider::chunk {

void UnsyncedSlices::add(Ino ino, Slices slices) {
  if (slices.empty()) return;
  std::lock_guard lock(mutex_);
  count_ += slices.size();
  Slices& known = slices_[ino];
  if (known.empty()) {
    known = std::move(slices);
    order_.push_back(ino);
  } else {
    known.insert(known.end(), slices.begin(), slices.end());
  }
  // Numbers of inodes that were taken meanwhile are dropped when they are the oldest or too many.
  while (!order_.empty() && (order_.size() > kMost || !slices_.contains(order_.front()))) {
    if (slices_.contains(order_.front())) break;
    order_.pop_front();
  }
}

UnsyncedSlices::Slices UnsyncedSlices::take(Ino ino) {
  std::lock_guard lock(mutex_);
  auto node = slices_.extract(ino);
  if (node.empty()) return {};
  count_ -= node.mapped().size();
  return std::move(node.mapped());
}

std::pair<Ino, UnsyncedSlices::Slices> UnsyncedSlices::take_overflow() {
  std::lock_guard lock(mutex_);
  if (count_ <= kMost) return {};
  while (!order_.empty()) {
    Ino ino = order_.front();
    order_.pop_front();
    auto node = slices_.extract(ino);
    if (node.empty()) continue;
    count_ -= node.mapped().size();
    return {ino, std::move(node.mapped())};
  }
  return {};
}

}  // namespace cider::chunk
