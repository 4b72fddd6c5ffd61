#include "meta/store/kv/changes.h"

#include <algorithm>
#include <unordered_set>

#include "base/bytes.h"
#include "base/clock.h"
#include "meta/model/slices.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/questions.h"
#include "meta/store/kv/records.h"

namespace cider::meta::kv {
namespace {

using Keys = std::vector<std::string>;

// Where a touch puts the ctime: see PatchNode.
Time moved(Time ctime, Time to) {
  const int64_t was = to_nanos(ctime);
  const int64_t now = to_nanos(to);
  constexpr int64_t kWrongClock = 3'000'000'000;
  return was < now || was - now > kWrongClock ? to : from_nanos(was + 1);
}

Status not_as_read(const std::string& what) {
  return fail(EIO, what + " does not match the read set of the write");
}

std::string entry_of(Ino dir) {
  return "an entry of directory " + std::to_string(dir);
}
std::string chunk_of(Ino ino, uint32_t index) {
  return "chunk " + std::to_string(index) + " of inode " + std::to_string(ino);
}

// Numbers that are added to; from nothing on.
Status add_to_counter(const std::string& key, int64_t delta, Workspace& work) {
  const int64_t now = TRY(decode_counter(TRY(work.get(key, Rely::yes)).value_or("")));
  work.put(key, encode_counter(now + delta));
  return {};
}

// --- inodes

Status write(const InsertNode& w, Workspace& work) {
  const std::string key = inode_key(w.ino);
  work.expect_absent(key);
  if (TRY(work.get(key, Rely::yes)))
    return fail(kInodeTaken, "inode number " + std::to_string(w.ino) + " given twice");
  work.put(key, encode_attr(w.attr));
  return {};
}

// An empty patch is a write of equal bytes: other clients see that something of the inode changed.
Status write(const PatchNode& w, Workspace& work) {
  auto attr = TRY(read_attr(w.ino, work, Rely::yes));
  if (!attr) return not_as_read("inode " + std::to_string(w.ino));
  const Time ctime = attr->ctime;
  copy_fields(&*attr, w.values, w.set);
  attr->nlink += static_cast<uint32_t>(w.nlink_delta);
  if (w.touch) {
    const Time time = moved(ctime, *w.touch);
    if (!(w.set & field::mtime)) attr->mtime = time;
    if (!(w.set & field::ctime)) attr->ctime = time;
  } else if (w.touch_ctime && !(w.set & field::ctime)) {
    attr->ctime = moved(ctime, *w.touch_ctime);
  }
  if (w.after) *w.after = *attr;
  work.put(inode_key(w.ino), encode_attr(*attr));
  return {};
}

Status write(const DeleteNode& w, Workspace& work) {
  work.erase(inode_key(w.ino));
  return work.erase_range(belongings_of(w.ino));
}

Status write(const SetSymlink& w, Workspace& work) {
  work.put(symlink_key(w.ino), w.target);
  return {};
}
Status write(const SetXattr& w, Workspace& work) {
  work.put(xattr_key(w.ino, w.name), w.value);
  return {};
}
Status write(const RemoveXattr& w, Workspace& work) {
  work.erase(xattr_key(w.ino, w.name));
  return {};
}

Status write(const AddParent& w, Workspace& work) {
  const std::string key = parent_key(w.ino, w.parent);
  const int64_t count = TRY(decode_counter(TRY(work.get(key, Rely::yes)).value_or(""))) + w.delta;
  if (count > 0) {
    work.put(key, encode_counter(count));
  } else {
    work.erase(key);
  }
  return {};
}

// --- entries

Status write(const InsertEntry& w, Workspace& work) {
  const std::string key = entry_key(w.parent, w.name);
  if (TRY(work.get(key, Rely::yes))) return not_as_read(entry_of(w.parent));
  work.put(key, encode_entry(w.entry));
  return {};
}

Status expect_entry(const std::string& key, Ino parent, const Entry& entry, Workspace& work) {
  const Value record = TRY(work.get(key, Rely::yes));
  auto now = record ? decode_entry(*record) : Result<Entry>(fail(ENOENT));
  if (!now || *now != entry) return not_as_read(entry_of(parent));
  return {};
}
Status write(const ReplaceEntry& w, Workspace& work) {
  const std::string key = entry_key(w.parent, w.name);
  TRY(expect_entry(key, w.parent, w.old_entry, work));
  work.put(key, encode_entry(w.entry));
  return {};
}
Status write(const DeleteEntry& w, Workspace& work) {
  const std::string key = entry_key(w.parent, w.name);
  TRY(expect_entry(key, w.parent, w.old_entry, work));
  work.erase(key);
  return {};
}

// --- chunks and slices

Status write(const AppendSlices& w, Workspace& work) {
  const std::string key = chunk_key(w.ino, w.index);
  std::string records = TRY(work.get(key, Rely::yes)).value_or("") + w.records;
  if (w.count) *w.count = static_cast<uint32_t>(records.size() / kSliceRecordSize);
  work.put(key, std::move(records));
  return {};
}

Status write(const HoleOverChunks& w, Workspace& work) {
  for (Pair& pair : TRY(work.scan(chunks_of(w.ino, w.first, w.last), SIZE_MAX, false, Rely::yes))) {
    append_slice(&pair.value, Slice{0, 0, 0, 0, static_cast<uint32_t>(kChunkSize)});
    work.put(pair.key, std::move(pair.value));
  }
  return {};
}

// A file's chunks are found by its number.
Status write(const LeaveChunks&, Workspace&) {
  return {};
}

Status write(const ReplaceSlices& w, Workspace& work) {
  const std::string key = chunk_key(w.ino, w.index);
  std::string records = TRY(work.get(key, Rely::yes)).value_or("");
  if (!records.starts_with(w.prefix)) return not_as_read(chunk_of(w.ino, w.index));
  records.replace(0, w.prefix.size(), w.records);
  if (records.empty()) {
    work.erase(key);
  } else {
    work.put(key, std::move(records));
  }
  return {};
}

Status write(const DeleteChunk& w, Workspace& work) {
  work.erase(chunk_key(w.ino, w.index));
  return {};
}

// One reference needs no count.
Status write(const InsertSliceRef& w, Workspace& work) {
  const std::string key = slice_ref_key(w.id, w.size);
  work.expect_absent(key);
  if (TRY(work.get(key, Rely::yes)))
    return fail(EEXIST, "slice " + std::to_string(w.id) + " has a count already");
  if (w.refs != 1 || w.always_stored) work.put(key, encode_counter(w.refs - 1));
  return {};
}

Status write(const AddSliceRef& w, Workspace& work) {
  return add_to_counter(slice_ref_key(w.id, w.size), w.delta, work);
}

Status write(const DeleteSliceRef& w, Workspace& work) {
  const std::string key = slice_ref_key(w.id, w.size);
  const Value record = TRY(work.get(key, Rely::yes));
  if (record && TRY(decode_counter(*record)) < 0) work.erase(key);
  return {};
}

Status write(const PutDelayedSlices& w, Workspace& work) {
  work.put(delayed_key(w.deleted, w.id), w.records);
  return {};
}
Status write(const DeleteDelayedSlices& w, Workspace& work) {
  work.erase(delayed_key(w.deleted, w.id));
  return {};
}

// --- sessions, locks, deleted files

Status write(const PutSustained& w, Workspace& work) {
  work.put(sustained_key(w.sid, w.ino), "\x01");
  return {};
}
Status write(const DeleteSustained& w, Workspace& work) {
  work.erase(sustained_key(w.sid, w.ino));
  return {};
}
Status write(const PutDeletedFile& w, Workspace& work) {
  work.put(deleted_file_key(w.ino, w.length), encode_number(w.deleted));
  return {};
}
Status write(const DeleteDeletedFile& w, Workspace& work) {
  work.erase(deleted_file_key(w.ino, w.length));
  return {};
}

void put_table(const std::string& key, std::string table, Workspace& work) {
  if (table.empty()) {
    work.erase(key);
  } else {
    work.put(key, std::move(table));
  }
}

Status change_flocks(Ino ino, Workspace& work, const auto& change) {
  const std::string key = flocks_key(ino);
  auto table = TRY(decode_flocks(TRY(work.get(key, Rely::yes)).value_or("")));
  change(table);
  put_table(key, encode_flocks(table), work);
  return {};
}
Status change_plocks(Ino ino, Workspace& work, const auto& change) {
  const std::string key = plocks_key(ino);
  auto table = TRY(decode_plocks(TRY(work.get(key, Rely::yes)).value_or("")));
  change(table);
  put_table(key, encode_plocks(table), work);
  return {};
}

Status write(const PutFlock& w, Workspace& work) {
  return change_flocks(w.ino, work, [&](std::vector<Flock>& table) {
    std::erase_if(table, [&](const Flock& lock) { return lock.holder == w.lock.holder; });
    table.push_back(w.lock);
  });
}
Status write(const DeleteFlock& w, Workspace& work) {
  return change_flocks(w.ino, work, [&](std::vector<Flock>& table) {
    std::erase_if(table, [&](const Flock& lock) { return lock.holder == w.holder; });
  });
}
Status write(const PutPlock& w, Workspace& work) {
  return change_plocks(w.ino, work, [&](std::vector<Plock>& table) {
    std::erase_if(table, [&](const Plock& lock) { return lock.holder == w.lock.holder; });
    if (!w.lock.ranges.empty()) table.push_back(w.lock);
  });
}
Status write(const PutLockWait& w, Workspace& work) {
  work.put(lock_wait_key(w.wait.waiter), encode_lock_wait(w.wait));
  return {};
}
Status write(const DeleteLockWait& w, Workspace& work) {
  work.erase(lock_wait_key(w.waiter));
  return {};
}

// The locks of a session are in the tables of all inodes.
Status write(const DeleteSession& w, Workspace& work) {
  for (const Pair& pair : TRY(work.scan(all_of(kFlocks), SIZE_MAX, false, Rely::no))) {
    const auto ino = parse_lock_key(pair.key);
    const auto table = TRY(decode_flocks(pair.value));
    const auto is_own = [&](const Flock& lock) { return lock.holder.sid == w.sid; };
    if (!ino || std::ranges::none_of(table, is_own)) continue;
    TRY(change_flocks(*ino, work, [&](std::vector<Flock>& locks) { std::erase_if(locks, is_own); }));
  }
  for (const Pair& pair : TRY(work.scan(all_of(kPlocks), SIZE_MAX, false, Rely::no))) {
    const auto ino = parse_lock_key(pair.key);
    const auto table = TRY(decode_plocks(pair.value));
    const auto is_own = [&](const Plock& lock) { return lock.holder.sid == w.sid; };
    if (!ino || std::ranges::none_of(table, is_own)) continue;
    TRY(change_plocks(*ino, work, [&](std::vector<Plock>& locks) { std::erase_if(locks, is_own); }));
  }
  TRY(work.erase_range(all_of(lock_wait_key({w.sid, 0}).substr(0, kLockWaits.size() + sizeof w.sid))));
  TRY(work.erase_range(sustained_of(w.sid)));
  work.erase(session_key(w.sid));
  work.erase(session_info_key(w.sid));
  return {};
}

// --- usage and statistics

Status write(const AddUsage& w, Workspace& work) {
  const auto add = [&](Counter counter, int64_t delta) -> Status {
    if (delta == 0) return {};
    return add_to_counter(counter_key(counter_name(counter)), delta, work);
  };
  TRY(add(Counter::used_space, w.space));
  return add(Counter::total_inodes, w.inodes);
}

Status write(const CreateDirStat& w, Workspace& work) {
  work.put(dir_stat_key(w.ino), encode_dir_stat({}));
  return {};
}

Status write(const AddDirStat& w, Workspace& work) {
  const std::string key = dir_stat_key(w.ino);
  const Value record = TRY(work.get(key, Rely::yes));
  if (!record) return {};
  DirStat stat = TRY(decode_dir_stat(*record));
  stat.length += w.delta.length;
  stat.space += w.delta.space;
  stat.inodes += w.delta.inodes;
  work.put(key, encode_dir_stat(stat));
  return {};
}

Status write(const DeleteDirStat& w, Workspace& work) {
  work.erase(dir_stat_key(w.ino));
  work.erase(dir_quota_key(w.ino));
  return {};
}

// --- what is looked at

void add_keys(const InsertNode& w, Keys* keys, Workspace& work) {
  keys->push_back(inode_key(w.ino));
  work.expect_absent(keys->back());
}
void add_keys(const InsertSliceRef& w, Keys* keys, Workspace& work) {
  keys->push_back(slice_ref_key(w.id, w.size));
  work.expect_absent(keys->back());
}
void add_keys(const PatchNode& w, Keys* keys, Workspace&) {
  keys->push_back(inode_key(w.ino));
}
void add_keys(const InsertEntry& w, Keys* keys, Workspace&) {
  keys->push_back(entry_key(w.parent, w.name));
}
void add_keys(const ReplaceEntry& w, Keys* keys, Workspace&) {
  keys->push_back(entry_key(w.parent, w.name));
}
void add_keys(const DeleteEntry& w, Keys* keys, Workspace&) {
  keys->push_back(entry_key(w.parent, w.name));
}
void add_keys(const AddParent& w, Keys* keys, Workspace&) {
  keys->push_back(parent_key(w.ino, w.parent));
}
void add_keys(const AppendSlices& w, Keys* keys, Workspace&) {
  keys->push_back(chunk_key(w.ino, w.index));
}
void add_keys(const ReplaceSlices& w, Keys* keys, Workspace&) {
  keys->push_back(chunk_key(w.ino, w.index));
}
void add_keys(const AddSliceRef& w, Keys* keys, Workspace&) {
  keys->push_back(slice_ref_key(w.id, w.size));
}
void add_keys(const DeleteSliceRef& w, Keys* keys, Workspace&) {
  keys->push_back(slice_ref_key(w.id, w.size));
}
void add_keys(const AddDirStat& w, Keys* keys, Workspace&) {
  keys->push_back(dir_stat_key(w.ino));
}
template <class Other>
void add_keys(const Other&, Keys*, Workspace&) {}

// The slice that the first of these records names; 0 for a hole.
uint64_t first_slice(std::string_view records) {
  constexpr size_t kIdAt = 4;
  return records.size() < kSliceRecordSize ? 0 : ByteReader(records.substr(kIdAt)).u64();
}

// A commit of new slices whose answer was lost may be made again. One reference leaves no count, so the first
// commit shows in the chunk alone.
bool names_slice(std::string_view records, uint64_t id) {
  for (; records.size() >= kSliceRecordSize; records.remove_prefix(kSliceRecordSize)) {
    if (first_slice(records) == id) return true;
  }
  return false;
}

Status check_fresh_slices(const std::vector<WriteItem>& writes, Workspace& work) {
  std::unordered_set<uint64_t> fresh;
  for (const WriteItem& item : writes) {
    if (const auto* ref = std::get_if<InsertSliceRef>(&item)) fresh.insert(ref->id);
  }
  if (fresh.empty()) return {};
  for (const WriteItem& item : writes) {
    const auto* append = std::get_if<AppendSlices>(&item);
    if (!append) continue;
    const uint64_t id = first_slice(append->records);
    if (!fresh.contains(id)) continue;
    const Value records = TRY(work.get(chunk_key(append->ino, append->index), Rely::yes));
    if (records && names_slice(*records, id))
      return fail(EEXIST, "slice " + std::to_string(id) + " is in its chunk already");
  }
  return {};
}

}  // namespace

Status load_for(const std::vector<WriteItem>& writes, Workspace& work) {
  Keys keys;
  for (const WriteItem& item : writes) {
    std::visit([&](const auto& w) { add_keys(w, &keys, work); }, item);
  }
  return work.load(std::move(keys));
}

Status apply_all(const std::vector<WriteItem>& writes, Workspace& work) {
  TRY(check_fresh_slices(writes, work));
  for (const WriteItem& item : writes) {
    TRY(std::visit([&](const auto& w) { return write(w, work); }, item));
  }
  return {};
}

}  // namespace cider::meta::kv
