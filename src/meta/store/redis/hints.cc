#include "meta/store/redis/hints.h"

#include <functional>

#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

std::string entry_hint(Ino parent, std::string_view name) {
  return dir_key(parent) + "/" + std::string(name);
}

size_t hash_of(const std::string& key) {
  return std::hash<std::string>{}(key);
}

}  // namespace

Hints::Hints() = default;

std::optional<Record> Hints::get(const std::string& key) {
  size_t hash = hash_of(key);
  Shard& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return std::nullopt;
  const Slot& slot = shard.slots[hash / kShards % kSlotsPerShard];
  if (slot.key != key) return std::nullopt;
  return slot.value;
}

void Hints::put(const std::string& key, Record value) {
  size_t hash = hash_of(key);
  Shard& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) shard.slots.resize(kSlotsPerShard);
  Slot& slot = shard.slots[hash / kShards % kSlotsPerShard];
  slot.key = key;
  slot.value = std::move(value);
}

void Hints::forget(const std::string& key) {
  size_t hash = hash_of(key);
  Shard& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return;
  Slot& slot = shard.slots[hash / kShards % kSlotsPerShard];
  if (slot.key == key) slot = {};
}

void Hints::clear() {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.slots.clear();
  }
}

std::optional<Answer> Hints::recall(const ReadItem& item) {
  return answer_from_records(
      item, [this](Ino ino) { return get(inode_key(ino)); },
      [this](Ino parent, std::string_view name) { return get(entry_hint(parent, name)); });
}

void Hints::remember(const ReadItem& item, const Answer& answer) {
  each_record(
      item, answer, [this](Ino ino, const Record& record) { put(inode_key(ino), record); },
      [this](Ino parent, std::string_view name, const Record& record) {
        put(entry_hint(parent, name), record);
      });
}

void Hints::patch(const PatchNode& change) {
  const std::string key = inode_key(change.ino);
  auto record = get(key);
  if (!record || !*record) return;
  auto attr = decode_attr(**record);
  if (!attr) return forget(key);
  if (change.touch) attr->mtime = attr->ctime = *change.touch;  // or a nanosecond on: nobody relies on it
  if (change.touch_ctime) attr->ctime = *change.touch_ctime;
  copy_fields(&*attr, change.values, change.set);
  attr->nlink = static_cast<uint32_t>(static_cast<int64_t>(attr->nlink) + change.nlink_delta);
  put(key, encode_attr(*attr));
}

void Hints::apply(const WriteItem& item) {
  if (const auto* node = std::get_if<InsertNode>(&item)) {
    put(inode_key(node->ino), encode_attr(node->attr));
  } else if (const auto* change = std::get_if<PatchNode>(&item)) {
    patch(*change);
  } else if (const auto* gone = std::get_if<DeleteNode>(&item)) {
    forget(inode_key(gone->ino));
  } else if (const auto* made = std::get_if<InsertEntry>(&item)) {
    put(entry_hint(made->parent, made->name), encode_entry(made->entry));
  } else if (const auto* replaced = std::get_if<ReplaceEntry>(&item)) {
    put(entry_hint(replaced->parent, replaced->name), encode_entry(replaced->entry));
  } else if (const auto* removed = std::get_if<DeleteEntry>(&item)) {
    put(entry_hint(removed->parent, removed->name), std::nullopt);
  }
}

}  // namespace cider::meta::redis
