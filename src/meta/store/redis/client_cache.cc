#include "meta/store/redis/client_cache.h"

#include <algorithm>

#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

constexpr char kInode = 'i';
constexpr char kDirectory = 'd';

std::string name_of_entry(Ino parent, std::string_view name) {
  return std::to_string(parent) + "/" + std::string(name);
}

void raise(std::atomic<uint64_t>* to, uint64_t value) {
  uint64_t present = *to;
  while (present < value && !to->compare_exchange_weak(present, value)) {
  }
}

}  // namespace

// --- changes

size_t ClientCache::Changes::place(char kind, Ino ino) {
  uint64_t x = (ino * 2 + (kind == kInode ? 1 : 0)) * 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  return (x >> 32) % kPlaces;
}

ClientCache::Moment ClientCache::Changes::latest(char kind, Ino ino) const {
  return std::max(all_.load(), places_[place(kind, ino)].load());
}

void ClientCache::Changes::note(char kind, Ino ino) {
  raise(&places_[place(kind, ino)], ++count_);
}

void ClientCache::Changes::note_all() {
  raise(&all_, ++count_);
}

// --- records

ClientCache::ClientCache(size_t size, Millis expire)
    : expire_(expire), inodes_(make_shards(size)), entries_(make_shards(size)) {}

ClientCache::Shards ClientCache::make_shards(size_t size) {
  constexpr size_t kMostShards = 16;
  Shards shards;
  const size_t count = std::clamp<size_t>(size / kMostShards, 1, kMostShards);
  for (size_t i = 0; i < count; ++i) shards.push_back(std::make_unique<Shard>(size / count));
  return shards;
}

ClientCache::Shard& ClientCache::shard_of(Shards& shards, const std::string& name) {
  return *shards[std::hash<std::string>{}(name) / 7919 % shards.size()];  // the maps use the low bits
}

// What was asked before the latest change is kept, too, to be compared with; it answers nothing.
void ClientCache::put(Shards& shards, const std::string& name, char kind, Ino ino, const Record& record,
                      Moment asked) {
  Shard& shard = shard_of(shards, name);
  std::lock_guard lock(shard.mutex);
  const Moment filled = changes_.now();
  const Monotonic::time_point now = Monotonic::now();
  if (const Known* known = shard.records.find(name)) {
    const bool current = known->filled >= changes_.latest(kind, ino) && now < known->expires;
    if (current && known->record != record) return changes_.note(kind, ino);
    if (current) asked = std::max(asked, known->asked);
  }
  shard.records.put(name, {record, asked, filled, now + expire_});
}

std::optional<Record> ClientCache::get(Shards& shards, const std::string& name, char kind, Ino ino) {
  Shard& shard = shard_of(shards, name);
  std::lock_guard lock(shard.mutex);
  const Known* known = shard.records.find(name);
  if (known == nullptr || known->asked < changes_.latest(kind, ino)) return std::nullopt;
  if (Monotonic::now() >= known->expires) return std::nullopt;
  return known->record;
}

void ClientCache::fill(const ReadItem& item, const Answer& answer, Moment asked) {
  each_record(
      item, answer,
      [&](Ino ino, const Record& record) { put(inodes_, std::to_string(ino), kInode, ino, record, asked); },
      [&](Ino dir, std::string_view name, const Record& record) {
        put(entries_, name_of_entry(dir, name), kDirectory, dir, record, asked);
      });
}

std::optional<Answer> ClientCache::recall(const ReadItem& item) {
  if (Monotonic::now() >= trusted_until_.load()) return std::nullopt;
  return answer_from_records(
      item, [&](Ino ino) { return get(inodes_, std::to_string(ino), kInode, ino); },
      [&](Ino dir, std::string_view name) {
        return get(entries_, name_of_entry(dir, name), kDirectory, dir);
      });
}

// --- what makes them old

void ClientCache::forget(const WriteItem& item) {
  if (const auto* made = std::get_if<InsertNode>(&item)) return changes_.note(kInode, made->ino);
  if (const auto* patch = std::get_if<PatchNode>(&item)) return changes_.note(kInode, patch->ino);
  if (const auto* gone = std::get_if<DeleteNode>(&item)) return changes_.note(kInode, gone->ino);
  if (const auto* entry = std::get_if<InsertEntry>(&item)) return changes_.note(kDirectory, entry->parent);
  if (const auto* entry = std::get_if<ReplaceEntry>(&item)) return changes_.note(kDirectory, entry->parent);
  if (const auto* entry = std::get_if<DeleteEntry>(&item)) return changes_.note(kDirectory, entry->parent);
  if (const auto* lock = std::get_if<PutFlock>(&item)) return changes_.note(kInode, lock->ino);
  if (const auto* lock = std::get_if<PutPlock>(&item)) return changes_.note(kInode, lock->ino);
}

void ClientCache::changed(std::string_view key) {
  if (key.empty() || (key[0] != kInode && key[0] != kDirectory)) return;
  if (auto ino = parse_number<Ino>(key.substr(1))) changes_.note(key[0], *ino);
}

void ClientCache::lost() {
  trusted_until_ = Monotonic::time_point::min();
  changes_.note_all();
  for (Shards* shards : {&inodes_, &entries_}) {
    for (auto& shard : *shards) {
      std::lock_guard lock(shard->mutex);
      shard->records.clear();
    }
  }
}

}  // namespace cider::meta::redis
