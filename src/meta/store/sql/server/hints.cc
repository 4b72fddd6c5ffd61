#include "meta/store/sql/server/hints.h"

#include <functional>

namespace cider::meta::sql::server {

size_t Hints::hash_of(Ino ino) {
  return static_cast<size_t>(ino * 0x9E3779B97F4A7C15ULL >> 20);
}

size_t Hints::hash_of(const EntryKey& key) {
  return std::hash<std::string>{}(key.second) ^ hash_of(key.first);
}

template <class Key, class Value>
std::optional<std::optional<Value>> Hints::Table<Key, Value>::get(const Key& key) {
  const size_t hash = hash_of(key);
  Shard& shard = shards_[hash % kShards];
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return std::nullopt;
  const Slot& slot = shard.slots[hash / kShards % kSlots];
  if (!slot.used || slot.key != key) return std::nullopt;
  return std::optional<std::optional<Value>>(slot.value);
}

template <class Key, class Value>
void Hints::Table<Key, Value>::put(const Key& key, std::optional<Value> value) {
  const size_t hash = hash_of(key);
  Shard& shard = shards_[hash % kShards];
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) shard.slots.resize(kSlots);
  shard.slots[hash / kShards % kSlots] = {true, key, std::move(value)};
}

template <class Key, class Value>
void Hints::Table<Key, Value>::forget(const Key& key) {
  const size_t hash = hash_of(key);
  Shard& shard = shards_[hash % kShards];
  std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return;
  Slot& slot = shard.slots[hash / kShards % kSlots];
  if (slot.used && slot.key == key) slot = {};
}

template <class Key, class Value>
void Hints::Table<Key, Value>::clear() {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.slots.clear();
  }
}

std::optional<Hints::AttrHint> Hints::attr(Ino ino) {
  return attrs_.get(ino);
}

std::optional<Hints::EntryHint> Hints::entry(Ino parent, std::string_view name) {
  return entries_.get({parent, std::string(name)});
}

void Hints::remember(const ReadItem& item) {
  if (const auto* attr = std::get_if<AttrRead>(&item)) {
    attrs_.put(attr->ino, attr->value);
  } else if (const auto* entry = std::get_if<EntryRead>(&item)) {
    entries_.put({entry->parent, entry->name}, entry->value);
  } else if (const auto* lookup = std::get_if<LookupRead>(&item)) {
    entries_.put({lookup->parent, lookup->name}, lookup->value);
    if (lookup->value) attrs_.put(lookup->value->ino, lookup->attr);
  }
}

void Hints::apply(const WriteItem& item) {
  if (const auto* node = std::get_if<InsertNode>(&item)) {
    attrs_.put(node->ino, node->attr);
  } else if (const auto* patch = std::get_if<PatchNode>(&item)) {
    auto known = attrs_.get(patch->ino);
    if (!known || !*known) return;
    Attr attr = **known;
    if (patch->touch) attr.mtime = attr.ctime = *patch->touch;  // or a nanosecond on: nobody relies on it
    if (patch->touch_ctime) attr.ctime = *patch->touch_ctime;
    copy_fields(&attr, patch->values, patch->set);
    attr.nlink = static_cast<uint32_t>(static_cast<int64_t>(attr.nlink) + patch->nlink_delta);
    attrs_.put(patch->ino, attr);
  } else if (const auto* gone = std::get_if<DeleteNode>(&item)) {
    attrs_.forget(gone->ino);
  } else if (const auto* made = std::get_if<InsertEntry>(&item)) {
    entries_.put({made->parent, made->name}, made->entry);
  } else if (const auto* replaced = std::get_if<ReplaceEntry>(&item)) {
    entries_.put({replaced->parent, replaced->name}, replaced->entry);
  } else if (const auto* removed = std::get_if<DeleteEntry>(&item)) {
    entries_.put({removed->parent, removed->name}, std::nullopt);
  }
}

void Hints::clear() {
  attrs_.clear();
  entries_.clear();
}

}  // namespace cider::meta::sql::server
