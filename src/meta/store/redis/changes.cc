#include "meta/store/redis/changes.h"

#include <unordered_set>

#include "base/bytes.h"
#include "meta/model/slices.h"
#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

std::string time_bytes(const Time& t) {
  return ByteWriter().u64(static_cast<uint64_t>(t.sec)).u32(t.nsec).take();
}

// The fields at fixed places of the inode record, as the script's `sets`.
std::string sets_of(const PatchNode& p) {
  std::string out;
  auto put = [&](uint8_t offset, const std::string& bytes) {
    out += static_cast<char>(offset);
    out += static_cast<char>(bytes.size());
    out += bytes;
  };
  const Attr& v = p.values;
  if (p.set & field::flags) put(0, ByteWriter().u8(v.flags).take());
  if (p.set & (field::type | field::mode)) {
    unsigned bits = static_cast<unsigned>(v.type) << 12 | (v.mode & 07777U);
    put(1, ByteWriter().u16(static_cast<uint16_t>(bits)).take());
  }
  if (p.set & field::uid) put(3, ByteWriter().u32(v.uid).take());
  if (p.set & field::gid) put(7, ByteWriter().u32(v.gid).take());
  if (p.set & field::atime) put(11, time_bytes(v.atime));
  if (p.set & field::mtime) put(23, time_bytes(v.mtime));
  if (p.set & field::ctime) put(35, time_bytes(v.ctime));
  if (p.set & field::nlink) put(47, ByteWriter().u32(v.nlink).take());
  if (p.set & field::length) put(51, ByteWriter().u64(v.length).take());
  if (p.set & field::rdev) put(59, ByteWriter().u32(v.rdev).take());
  if (p.set & field::parent) put(63, ByteWriter().u64(v.parent).take());
  return out;
}

std::string sid_prefix(uint64_t sid) {
  return std::to_string(sid) + "_";
}

// --- writes

void add(const InsertNode& w, Steps* s) {
  s->command("SET", inode_key(w.ino), encode_attr(w.attr));
}

// An empty patch is a write of equal bytes: clients that watch the inode see that something of it changed.
void add(const PatchNode& w, Steps* s) {
  std::string kind;
  std::string time;
  if (w.touch) {
    kind = w.set & field::mtime ? (w.set & field::ctime ? "" : "c") : (w.set & field::ctime ? "M" : "m");
    time = time_bytes(*w.touch);
  } else if (w.touch_ctime && !(w.set & field::ctime)) {
    kind = "c";
    time = time_bytes(*w.touch_ctime);
  }
  std::string links = w.nlink_delta != 0 ? std::to_string(w.nlink_delta) : std::string{};
  std::string acl;
  if (w.set & field::acl) acl = ByteWriter().u32(w.values.access_acl).u32(w.values.default_acl).take();
  std::string tier;
  if (w.set & field::tier) tier = ByteWriter().u8(w.values.tier).take();
  s->write('P', inode_key(w.ino), sets_of(w), links, kind, time, acl, tier, w.after ? "1" : "");
}

void add(const DeleteNode& w, Steps* s) {
  s->command("DEL", inode_key(w.ino));
  s->command("DEL", xattr_key(w.ino), s->key_of(symlink_key(w.ino)), s->key_of(parents_key(w.ino)));
}

void add(const InsertEntry& w, Steps* s) {
  s->command("HSET", dir_key(w.parent), w.name, encode_entry(w.entry));
}
void add(const ReplaceEntry& w, Steps* s) {
  s->command("HSET", dir_key(w.parent), w.name, encode_entry(w.entry));
}
void add(const DeleteEntry& w, Steps* s) {
  s->command("HDEL", dir_key(w.parent), w.name);
}
void add(const SetSymlink& w, Steps* s) {
  s->command("SET", symlink_key(w.ino), w.target);
}
void add(const SetXattr& w, Steps* s) {
  s->command("HSET", xattr_key(w.ino), w.name, w.value);
}
void add(const RemoveXattr& w, Steps* s) {
  s->command("HDEL", xattr_key(w.ino), w.name);
}
void add(const AddParent& w, Steps* s) {
  s->write('p', parents_key(w.ino), std::to_string(w.parent), w.delta);
}

// The slice that the first of these records names; 0 for a hole.
uint64_t first_slice(std::string_view records) {
  constexpr size_t kIdAt = 4;
  return records.size() < kSliceRecordSize ? 0 : ByteReader(records.substr(kIdAt)).u64();
}

void add_items(std::string_view records, Steps* s) {
  for (size_t at = 0; at < records.size(); at += kSliceRecordSize) {
    s->args.emplace_back(records.substr(at, kSliceRecordSize));
  }
}
void add(const AppendSlices& w, Steps* s) {
  s->write('A', chunk_key(w.ino, w.index), w.records.size() / kSliceRecordSize);
  add_items(w.records, s);
}
void add(const HoleOverChunks& w, Steps* s) {
  std::string hole = encode_slices({Slice{0, 0, 0, 0, static_cast<uint32_t>(kChunkSize)}});
  s->write('O', chunks_head(w.ino), w.first, w.last, hole);
}
// The first chunks are looked for whatever a file's length.
void add(const LeaveChunks& w, Steps* s) {
  if (w.end > kChunksLookedFor) s->write('m', std::string(kTruncated), std::to_string(w.ino), w.end);
}
void add(const ReplaceSlices& w, Steps* s) {
  s->write('L', chunk_key(w.ino, w.index), w.prefix.size() / kSliceRecordSize,
           w.records.size() / kSliceRecordSize);
  add_items(w.records, s);
}
void add(const DeleteChunk& w, Steps* s) {
  s->command("DEL", chunk_key(w.ino, w.index));
}

// No count at all stands for one reference.
void add(const InsertSliceRef& w, Steps* s) {
  if (w.refs == 1 && !w.always_stored) return;
  s->command("HSET", std::string(kSliceRefs), slice_field(w.id, w.size), w.refs - 1);
}
void add(const AddSliceRef& w, Steps* s) {
  s->command("HINCRBY", std::string(kSliceRefs), slice_field(w.id, w.size), w.delta);
}
void add(const DeleteSliceRef& w, Steps* s) {
  s->write('f', std::string(kSliceRefs), slice_field(w.id, w.size));
}
void add(const PutDelayedSlices& w, Steps* s) {
  s->command("HSET", std::string(kDelayedSlices), delayed_field(w.id, w.deleted), w.records);
}
void add(const DeleteDelayedSlices& w, Steps* s) {
  s->command("HDEL", std::string(kDelayedSlices), delayed_field(w.id, w.deleted));
}

void add(const PutSustained& w, Steps* s) {
  s->command("SADD", sustained_key(w.sid), w.ino);
}
void add(const DeleteSustained& w, Steps* s) {
  s->command("SREM", sustained_key(w.sid), w.ino);
}
void add(const PutDeletedFile& w, Steps* s) {
  s->command("ZADD", std::string(kDeletedFiles), w.deleted, deleted_member(w.ino, w.length));
}
void add(const DeleteDeletedFile& w, Steps* s) {
  s->command("ZREM", std::string(kDeletedFiles), deleted_member(w.ino, w.length));
  s->command("HDEL", std::string(kTruncated), w.ino);
}

void put_lock(const std::string& key, const LockHolder& holder, std::string_view value, Steps* s) {
  s->command("HSET", key, holder_field(holder), value);
  s->command("SADD", locked_key(holder.sid), s->key_of(key));
}
void drop_lock(std::string key, const LockHolder& holder, Steps* s) {
  s->write('k', std::move(key), holder_field(holder), sid_prefix(holder.sid));
  s->key(locked_key(holder.sid));
}
void add(const PutFlock& w, Steps* s) {
  put_lock(flock_key(w.ino), w.lock.holder, w.lock.kind == LockKind::write ? "W" : "R", s);
}
void add(const DeleteFlock& w, Steps* s) {
  drop_lock(flock_key(w.ino), w.holder, s);
}
void add(const PutPlock& w, Steps* s) {
  if (w.lock.ranges.empty()) return drop_lock(plock_key(w.ino), w.lock.holder, s);
  put_lock(plock_key(w.ino), w.lock.holder, encode_plock_ranges(w.lock.ranges), s);
}
void add(const PutLockWait& w, Steps* s) {
  std::string record = ByteWriter().u64(w.wait.ino).raw(encode_plock_ranges({w.wait.range})).take();
  s->command("HSET", std::string(kLockWaits), holder_field(w.wait.waiter), record);
}
void add(const DeleteLockWait& w, Steps* s) {
  s->command("HDEL", std::string(kLockWaits), holder_field(w.waiter));
}
void add(const DeleteSession& w, Steps* s) {
  s->write('X', locked_key(w.sid), sid_prefix(w.sid), s->key_of(kLockWaits));
  s->command("DEL", sustained_key(w.sid));
  s->command("ZREM", std::string(kSessions), w.sid);
  s->command("HDEL", std::string(kSessionInfos), w.sid);
}

void add(const AddUsage& w, Steps* s) {
  if (w.space != 0) s->command("INCRBY", std::string(kUsedSpace), w.space);
  if (w.inodes != 0) s->command("INCRBY", std::string(kTotalInodes), w.inodes);
}
void add(const CreateDirStat& w, Steps* s) {
  for (std::string_view key : {kDirLength, kDirSpace, kDirInodes})
    s->command("HSET", std::string(key), w.ino, 0);
}
void add(const AddDirStat& w, Steps* s) {
  s->write('D', std::string(kDirLength), std::to_string(w.ino), w.delta.length, w.delta.space,
           w.delta.inodes);
  s->key(kDirSpace);
  s->key(kDirInodes);
}
void add(const DeleteDirStat& w, Steps* s) {
  static constexpr std::string_view kRows[] = {kDirLength, kDirSpace,           kDirInodes,
                                               kDirQuota,  "dirQuotaUsedSpace", "dirQuotaUsedInodes"};
  for (std::string_view key : kRows) s->command("HDEL", std::string(key), w.ino);
}

}  // namespace

void add_guards(const std::vector<WriteItem>& writes, Steps* steps) {
  std::unordered_set<uint64_t> fresh;  // slices
  for (const WriteItem& write : writes) {
    if (const auto* ref = std::get_if<InsertSliceRef>(&write)) fresh.insert(ref->id);
  }
  for (const WriteItem& write : writes) {
    if (const auto* node = std::get_if<InsertNode>(&write)) steps->check('u', inode_key(node->ino));
    if (const auto* patched = std::get_if<PatchNode>(&write)) steps->check('x', inode_key(patched->ino));
    if (const auto* ref = std::get_if<InsertSliceRef>(&write)) {
      steps->check('n', std::string(kSliceRefs), slice_field(ref->id, ref->size), ref->id);
      steps->key(counter_key(Counter::next_chunk));
    }
    const auto* append = std::get_if<AppendSlices>(&write);
    if (append == nullptr) continue;
    // One reference leaves no count, so that a commit that is made again shows in the chunk alone.
    const uint64_t id = first_slice(append->records);
    if (fresh.contains(id)) {
      steps->check('t', chunk_key(append->ino, append->index), ByteWriter().u64(id).take());
    } else {
      steps->check('y', chunk_key(append->ino, append->index));
    }
  }
}

void add_write(const WriteItem& item, Steps* steps) {
  std::visit([&](const auto& write) { add(write, steps); }, item);
}

}  // namespace cider::meta::redis
