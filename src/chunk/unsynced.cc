#include "chunk/unsynced.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace cider::chunk {

bool UnsyncedSlices::add(Ino ino, Slices slices) {
  std::lock_guard lock(mutex_);
  put(ino, std::move(slices));
  return metadata_syncs_ > 0;
}

void UnsyncedSlices::put(Ino ino, Slices slices) {
  if (slices.empty()) return;
  count_ += slices.size();
  auto [it, fresh] = waiting_.try_emplace(ino);
  if (fresh) it->second.place = order_.insert(order_.end(), ino);
  Slices& known = it->second.slices;
  known.insert(known.end(), slices.begin(), slices.end());
}

void UnsyncedSlices::take(Ino ino, Batch& batch) {
  auto it = waiting_.find(ino);
  if (it == waiting_.end()) return;
  count_ -= it->second.slices.size();
  batch.emplace(ino, std::move(it->second.slices));
  order_.erase(it->second.place);
  waiting_.erase(it);
}

Status UnsyncedSlices::sync(Ino ino, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const uint64_t before = runs_;
  // What those who are at it fail to sync is put back, and found below.
  const bool over = ended_.wait(lock, stop, [&] {
    return std::none_of(running_.begin(), running_.upper_bound(before), [&](const auto& run) {
      return std::ranges::find(run.second, ino) != run.second.end();
    });
  });
  if (!over) return fail(EINTR);
  Batch batch;
  take(ino, batch);
  return run(lock, std::move(batch));
}

void UnsyncedSlices::sync_all() {
  std::unique_lock lock(mutex_);
  const uint64_t before = runs_;
  Batch batch;
  while (!order_.empty()) take(Ino(order_.front()), batch);
  (void)run(lock, std::move(batch));
  ended_.wait(lock, [&] { return running_.empty() || running_.begin()->first > before; });
}

// A commit that comes too late for sync_all() syncs its slices itself before it writes its record.
Status UnsyncedSlices::sync_with(std::move_only_function<Status()> metadata) {
  {
    std::lock_guard lock(mutex_);
    metadata_syncs_++;
  }
  sync_all();
  Status status = metadata();
  std::lock_guard lock(mutex_);
  metadata_syncs_--;
  return status;
}

void UnsyncedSlices::sync_overflow() {
  std::unique_lock lock(mutex_);
  while (count_ > most_) {
    const Ino ino = order_.front();
    Batch batch;
    take(ino, batch);
    if (Status status = run(lock, std::move(batch)); !status) {
      log::warning("inode " + std::to_string(ino) + ": sync failed: " + status.error().to_string());
      return;
    }
  }
}

// Syncs what was taken, without the lock. One inode's failure is not another's.
Status UnsyncedSlices::run(std::unique_lock<std::mutex>& lock, Batch batch) {
  if (batch.empty()) return {};
  const uint64_t number = ++runs_;
  std::vector<Ino>& inodes = running_[number];
  for (const auto& [ino, slices] : batch) inodes.push_back(ino);
  lock.unlock();
  Slices all;
  for (const auto& [ino, slices] : batch) all.insert(all.end(), slices.begin(), slices.end());
  // Files share slices.
  std::ranges::sort(all, {}, &BlockStore::SliceRef::id);
  const auto repeated = std::ranges::unique(all, {}, &BlockStore::SliceRef::id);
  all.erase(repeated.begin(), repeated.end());
  Status status = sync_(all);
  const bool some_may_be_well = !status && batch.size() > 1;
  if (status) batch.clear();
  if (some_may_be_well)
    std::erase_if(batch, [&](const auto& item) { return sync_(item.second).has_value(); });
  lock.lock();
  for (auto& [ino, slices] : batch) put(ino, std::move(slices));
  running_.erase(number);
  ended_.notify_all();
  return status;
}

}  // namespace cider::chunk
