#include "chunk/file_state.h"

#include <algorithm>

namespace cider::chunk {
namespace {

constexpr auto kKeep = std::chrono::seconds(30);
constexpr auto kKeepError = std::chrono::minutes(10);
constexpr auto kKeepWhenMany = std::chrono::seconds(2);
constexpr size_t kManyPerShard = 512;

}  // namespace

bool LogEntry::ready() const {
  return std::all_of(slices.begin(), slices.end(), [](const auto& slice) { return slice->unstored == 0; });
}

uint64_t LogEntry::end() const {
  uint64_t end = 0;
  for (const auto& slice : slices) end = std::max(end, index * kChunkSize + slice->end());
  return end;
}

uint64_t FileState::pending_end() const {
  uint64_t end = 0;
  if (!open.empty()) end = open.rbegin()->first * kChunkSize + open.rbegin()->second.end();
  for (const LogEntry& entry : log) {
    end = std::max(end, entry.end());
    if (entry.applying) continue;
    for (const LogEntry& withheld : entry.withheld) end = std::max(end, withheld.end());
  }
  return end;
}

std::shared_ptr<FileState> FileTable::get(Ino ino) {
  Shard& home = shard(ino);
  std::lock_guard lock(home.mutex);
  auto& file = home.files[ino];
  if (!file) file = std::make_shared<FileState>(ino);
  return file;
}

std::shared_ptr<FileState> FileTable::find(Ino ino) const {
  const Shard& home = shard(ino);
  std::lock_guard lock(home.mutex);
  auto it = home.files.find(ino);
  return it == home.files.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<FileState>> FileTable::all() const {
  std::vector<std::shared_ptr<FileState>> files;
  for (const Shard& home : shards_) {
    std::lock_guard lock(home.mutex);
    for (const auto& [ino, file] : home.files) files.push_back(file);
  }
  return files;
}

bool FileTable::sweep(Monotonic::time_point now) {
  bool any_left = false;
  for (Shard& home : shards_) {
    std::lock_guard lock(home.mutex);
    auto keep = home.files.size() > kManyPerShard ? Monotonic::duration(kKeepWhenMany) : kKeep;
    std::erase_if(home.files, [&](auto& entry) {
      if (entry.second.use_count() > 1)
        return false;  // with the shard locked nobody can take a new reference
      FileState& file = *entry.second;
      std::lock_guard file_lock(file.mutex);
      if (file.has_pending()) return false;
      return now - file.last_used > (file.untold_error ? Monotonic::duration(kKeepError) : keep);
    });
    any_left |= !home.files.empty();
  }
  return any_left;
}

}  // namespace cider::chunk
