#include "meta/store/kv/questions.h"

#include <algorithm>

#include "meta/model/slices.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/records.h"
#include "meta/store/path_walk.h"

namespace cider::meta::kv {
namespace {

using Keys = std::vector<std::string>;

Result<std::optional<Entry>> read_entry(Ino parent, std::string_view name, Workspace& work, Rely rely) {
  const Value record = TRY(work.get(entry_key(parent, name), rely));
  if (!record) return std::optional<Entry>{};
  auto entry = decode_entry(*record);
  if (!entry) return fail(EIO, "entry of directory " + std::to_string(parent) + ": " + entry.error().message);
  return std::optional(*entry);
}

// --- the keys that a question needs at first; none where it looks at a range

void add_keys(const AttrRead& q, Keys* keys) {
  keys->push_back(inode_key(q.ino));
}
void add_keys(const EntryRead& q, Keys* keys) {
  keys->push_back(entry_key(q.parent, q.name));
}
void add_keys(const LookupRead& q, Keys* keys) {
  keys->push_back(entry_key(q.parent, q.name));
}
void add_keys(const SymlinkRead& q, Keys* keys) {
  keys->push_back(symlink_key(q.ino));
}
void add_keys(const XattrRead& q, Keys* keys) {
  keys->push_back(xattr_key(q.ino, q.name));
}
void add_keys(const ChunkRead& q, Keys* keys) {
  keys->push_back(chunk_key(q.ino, q.index));
}
void add_keys(const SliceRefRead& q, Keys* keys) {
  keys->push_back(slice_ref_key(q.id, q.size));
}
void add_keys(const FlocksRead& q, Keys* keys) {
  keys->push_back(flocks_key(q.ino));
}
void add_keys(const PlocksRead& q, Keys* keys) {
  keys->push_back(plocks_key(q.ino));
}
void add_keys(const SessionRead& q, Keys* keys) {
  keys->push_back(session_key(q.sid));
}
void add_keys(const UsageRead&, Keys* keys) {
  keys->push_back(counter_key(counter_name(Counter::used_space)));
  keys->push_back(counter_key(counter_name(Counter::total_inodes)));
}
void add_keys(const DirStatRead& q, Keys* keys) {
  keys->push_back(dir_stat_key(q.ino));
}
void add_keys(const DelayedSlicesRead& q, Keys* keys) {
  keys->push_back(delayed_key(q.deleted, q.id));
}
template <class Other>
void add_keys(const Other&, Keys*) {}

// --- the answers

Status take(AttrRead* q, Workspace& work) {
  q->value = TRY(read_attr(q->ino, work, Rely::yes));
  return {};
}

Status take(EntryRead* q, Workspace& work) {
  q->value = TRY(read_entry(q->parent, q->name, work, Rely::yes));
  return {};
}

Status look_up(LookupRead* q, Workspace& work, Rely rely) {
  q->attr.reset();
  q->value = TRY(read_entry(q->parent, q->name, work, rely));
  if (q->value) q->attr = TRY(read_attr(q->value->ino, work, rely));
  return {};
}
Status take(LookupRead* q, Workspace& work) {
  return look_up(q, work, Rely::yes);
}

Status take(PathRead* q, Workspace& work) {
  return walk_path(q, [&](LookupRead* step) { return look_up(step, work, Rely::no); });
}

Status take(DirEmptyRead* q, Workspace& work) {
  q->empty = TRY(work.is_empty(entries_of(q->ino), Rely::yes));
  return {};
}

Status take(SymlinkRead* q, Workspace& work) {
  q->target = TRY(work.get(symlink_key(q->ino), Rely::yes));
  return {};
}

Status take(XattrRead* q, Workspace& work) {
  q->value = TRY(work.get(xattr_key(q->ino, q->name), Rely::yes));
  return {};
}

Status take(XattrNamesRead* q, Workspace& work) {
  q->names.clear();
  for (const Pair& pair : TRY(work.scan(xattrs_of(q->ino), SIZE_MAX, true, Rely::no)))
    q->names.emplace_back(name_in(pair.key));
  return {};
}

Status take(ChunkRead* q, Workspace& work) {
  q->records = TRY(work.get(chunk_key(q->ino, q->index), Rely::yes)).value_or("");
  const size_t most = q->most * kSliceRecordSize;
  if (most > 0 && q->records.size() > most) q->records.resize(most);
  return {};
}

Status take(ChunkRangeRead* q, Workspace& work) {
  q->chunks.clear();
  if (q->first > q->last) return {};
  for (Pair& pair : TRY(work.scan(chunks_of(q->ino, q->first, q->last), SIZE_MAX, false, Rely::yes))) {
    if (auto key = parse_chunk_key(pair.key)) q->chunks.emplace(key->index, std::move(pair.value));
  }
  return {};
}

// JuiceFS leaves counts of 0 behind.
Status take(ParentsRead* q, Workspace& work) {
  q->parents.clear();
  for (const Pair& pair : TRY(work.scan(parents_of(q->ino), SIZE_MAX, false, Rely::yes))) {
    const auto parent = parse_parent_key(pair.key);
    const int64_t count = TRY(decode_counter(pair.value));
    if (parent && count > 0) q->parents.emplace(*parent, static_cast<uint32_t>(count));
  }
  return {};
}

// No count stands for one reference.
Status take(SliceRefRead* q, Workspace& work) {
  const Value record = TRY(work.get(slice_ref_key(q->id, q->size), Rely::yes));
  q->refs = 1 + (record ? TRY(decode_counter(*record)) : 0);
  return {};
}

Status take(FlocksRead* q, Workspace& work) {
  q->table = TRY(decode_flocks(TRY(work.get(flocks_key(q->ino), Rely::yes)).value_or("")));
  return {};
}

Status take(PlocksRead* q, Workspace& work) {
  q->table = TRY(decode_plocks(TRY(work.get(plocks_key(q->ino), Rely::yes)).value_or("")));
  return {};
}

Status take(LockWaitsRead* q, Workspace& work) {
  q->waits.clear();
  for (const Pair& pair : TRY(work.scan(all_of(kLockWaits), SIZE_MAX, false, Rely::no))) {
    const auto waiter = parse_lock_wait_key(pair.key);
    if (!waiter) continue;
    auto wait = decode_lock_wait(*waiter, pair.value);
    if (wait) q->waits.push_back(*wait);  // else of a newer client, say
  }
  return {};
}

Status take(HolderLocksRead* q, Workspace& work) {
  q->inodes.clear();
  for (const Pair& pair : TRY(work.scan(all_of(kPlocks), SIZE_MAX, false, Rely::no))) {
    const auto ino = parse_lock_key(pair.key);
    if (!ino) continue;
    const auto table = TRY(decode_plocks(pair.value));
    if (std::ranges::any_of(table, [&](const Plock& lock) { return lock.holder == q->holder; }))
      q->inodes.push_back(*ino);
  }
  return {};
}

Status take(SessionRead* q, Workspace& work) {
  const Value record = TRY(work.get(session_key(q->sid), Rely::yes));
  q->expire = record ? std::optional(TRY(decode_number(*record))) : std::nullopt;
  return {};
}

Status take(SustainedRead* q, Workspace& work) {
  q->sids.clear();
  for (const Pair& pair : TRY(work.scan(all_of(kSustained), SIZE_MAX, true, Rely::yes))) {
    const auto key = parse_sustained_key(pair.key);
    if (key && key->ino == q->ino) q->sids.push_back(key->sid);
  }
  return {};
}

Status take(UsageRead* q, Workspace& work) {
  const auto read = [&](Counter counter) -> Result<int64_t> {
    return decode_counter(TRY(work.get(counter_key(counter_name(counter)), Rely::no)).value_or(""));
  };
  q->space = TRY(read(Counter::used_space));
  q->inodes = TRY(read(Counter::total_inodes));
  return {};
}

Status take(DirStatRead* q, Workspace& work) {
  const Value record = TRY(work.get(dir_stat_key(q->ino), Rely::no));
  q->stat = record ? std::optional(TRY(decode_dir_stat(*record))) : std::nullopt;
  return {};
}

Status take(DelayedSlicesRead* q, Workspace& work) {
  q->records = TRY(work.get(delayed_key(q->deleted, q->id), Rely::yes));
  return {};
}

// --- flights

void expect(const ReadItem& item, Workspace& work) {
  if (const auto* usage = std::get_if<UsageRead>(&item)) {
    Keys keys;
    add_keys(*usage, &keys);
    for (const std::string& key : keys) work.want_present(key);
  }
  if (const auto* entry = std::get_if<EntryRead>(&item); entry && entry->absence_expected)
    work.expect_absent(entry_key(entry->parent, entry->name));
  if (const auto* lookup = std::get_if<LookupRead>(&item); lookup && lookup->absence_expected)
    work.expect_absent(entry_key(lookup->parent, lookup->name));
}

// The inode that an entry probably names is asked for together with it.
void add_guessed_inode(const ReadItem& item, Workspace& work, Keys* keys) {
  const auto* lookup = std::get_if<LookupRead>(&item);
  if (!lookup) return;
  const auto record = work.guess(entry_key(lookup->parent, lookup->name));
  if (!record || !*record) return;
  if (auto entry = decode_entry(**record)) keys->push_back(inode_key(entry->ino));
}

Status load_first_keys(const std::vector<ReadItem*>& items, Workspace& work) {
  Keys keys;
  for (const ReadItem* item : items) {
    expect(*item, work);
    std::visit([&](const auto& q) { add_keys(q, &keys); }, *item);
    add_guessed_inode(*item, work, &keys);
  }
  return work.load(std::move(keys));
}

Status load_named_inodes(const std::vector<ReadItem*>& items, Workspace& work) {
  Keys keys;
  for (const ReadItem* item : items) {
    const auto* q = std::get_if<LookupRead>(item);
    if (!q) continue;
    if (auto entry = TRY(read_entry(q->parent, q->name, work, Rely::no)))
      keys.push_back(inode_key(entry->ino));
  }
  return work.load(std::move(keys));
}

}  // namespace

Result<std::optional<Attr>> read_attr(Ino ino, Workspace& work, Rely rely) {
  const Value record = TRY(work.get(inode_key(ino), rely));
  if (!record) return std::optional<Attr>{};
  auto attr = decode_attr(*record);
  if (!attr) return fail(EIO, "inode " + std::to_string(ino) + ": " + attr.error().message);
  return std::optional(*std::move(attr));
}

Status answer(const std::vector<ReadItem*>& items, Workspace& work) {
  if (items.size() > 1 || (items.size() == 1 && std::holds_alternative<LookupRead>(*items.front()))) {
    TRY(load_first_keys(items, work));
    TRY(load_named_inodes(items, work));
  } else if (!items.empty()) {
    expect(*items.front(), work);
  }
  for (ReadItem* item : items) TRY(std::visit([&](auto& q) { return take(&q, work); }, *item));
  return {};
}

}  // namespace cider::meta::kv
