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

std::optional<std::optional<std::string>> Hints::get(const std::string& key) {
  size_t hash = hash_of(key);
  Shard& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return std::nullopt;
  const Slot& slot = shard.slots[hash / kShards % kSlotsPerShard];
  if (slot.key != key) return std::nullopt;
  return slot.value;
}

void Hints::put(const std::string& key, std::optional<std::string> value) {
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
  if (const auto* attr = std::get_if<AttrRead>(&item)) {
    auto record = get(inode_key(attr->ino));
    if (!record) return std::nullopt;
    return Answer{*record};
  }
  if (const auto* entry = std::get_if<EntryRead>(&item)) {
    auto record = get(entry_hint(entry->parent, entry->name));
    if (!record) return std::nullopt;
    return Answer{*record};
  }
  const auto* lookup = std::get_if<LookupRead>(&item);
  if (lookup == nullptr) return std::nullopt;
  auto record = get(entry_hint(lookup->parent, lookup->name));
  if (!record) return std::nullopt;
  if (!*record) return Answer{std::nullopt, std::nullopt};
  auto entry = decode_entry(**record);
  if (!entry) return std::nullopt;
  auto attr = get(inode_key(entry->ino));
  if (!attr) return std::nullopt;
  return Answer{*record, *attr};
}

void Hints::remember(const ReadItem& item, const Answer& answer) {
  if (answer.empty()) return;
  if (const auto* attr = std::get_if<AttrRead>(&item)) {
    put(inode_key(attr->ino), answer[0]);
  } else if (const auto* entry = std::get_if<EntryRead>(&item)) {
    put(entry_hint(entry->parent, entry->name), answer[0]);
  } else if (const auto* lookup = std::get_if<LookupRead>(&item)) {
    put(entry_hint(lookup->parent, lookup->name), answer[0]);
    if (!answer[0] || answer.size() < 2) return;
    if (auto found = decode_entry(*answer[0])) put(inode_key(found->ino), answer[1]);
  }
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
