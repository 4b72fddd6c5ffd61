// repack: what few files still have of large shared slices goes into a new one, so that the old ones can go.
//
// Reads:  for each record its chunk's list (its beginning is a predicate of the commit: what is appended
//         meanwhile stays behind); that the inode is a file which may share slices.
// Writes: the record's 24 bytes, in place, name the new slice; its count: as many as were swapped; the old
//         slices as delayed ones under the new one's number. Each inode is touched: JuiceFS watches it when
//         it copies. One commit.
//
// The bytes are copied before. A record that was overwritten, cut off, compacted or deleted meanwhile is no
// longer found in the commit and keeps what it has; the new slice has then some bytes that nobody names, and
// a count without it. Old objects stay for a while, also on volumes without a trash: readers of other clients
// have looked the old records up.
#include <set>

#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

using Records = std::span<const Meta::SparseRecord>;

constexpr uint32_t kMostBefore = 1000;  // records of a chunk that are looked through

Status check_records(Records records) {
  if (records.empty() || records.size() > Meta::kMostPackMembers)
    return fail(EINVAL, "a pack of " + std::to_string(records.size()) + " members");
  std::set<Ino> inodes;
  for (const Meta::SparseRecord& record : records) {
    // JuiceFS's clone on key-value engines counts two records of one slice in a file as one.
    if (!inodes.insert(record.ino).second)
      return fail(EINVAL, "inode " + std::to_string(record.ino) + " is in a pack twice");
    if (record.slice.id == 0 || record.slice.len == 0) return fail(EINVAL, "a hole is in a pack");
  }
  return {};
}

// Where the record stands in the list, in bytes.
std::optional<size_t> find_record(std::string_view list, std::string_view record) {
  for (size_t at = 0; at + record.size() <= list.size(); at += record.size()) {
    if (list.substr(at, record.size()) == record) return at;
  }
  return std::nullopt;
}

// The list up to the record, and the same with the record replaced.
bool swap_record(Transaction& tx, const ChunkRead& chunk, const Slice& old, const Slice& fresh) {
  const std::string record = encode_slices({old});
  const std::optional<size_t> at = find_record(chunk.records, record);
  if (!at) return false;
  std::string prefix = chunk.records.substr(0, *at + record.size());
  std::string records = prefix.substr(0, *at) + encode_slices({fresh});
  tx.write(ReplaceSlices{chunk.ino, chunk.index, std::move(prefix), std::move(records)});
  tx.write(PatchNode{chunk.ino});
  return true;
}

// ESTALE where no record is there any more.
Status swap_op(Transaction& tx, const OpEnv& env, Records records, const Slice& made, size_t* swapped) {
  std::vector<std::pair<const AttrRead*, const ChunkRead*>> reads;
  for (const Meta::SparseRecord& record : records) {
    const auto& inode = tx.attr(record.ino, field::type | field::tier);
    reads.emplace_back(&inode, &tx.ask(ChunkRead{record.ino, record.index, true, {}, kMostBefore}));
  }
  TRY(tx.fetch());
  std::vector<DelayedSlice> old;
  uint32_t off = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto& [inode, chunk] = reads[i];
    const Slice& slice = records[i].slice;
    const Slice fresh{slice.pos, made.id, made.size, off, slice.len};
    off += slice.len;
    if (!inode->value || !inode->value->is_file() || inode->value->tier != 0) continue;
    if (swap_record(tx, *chunk, slice, fresh)) old.push_back({slice.id, slice.size});
  }
  *swapped = old.size();
  if (old.empty()) return fail(ESTALE);
  tx.write(InsertSliceRef{made.id, made.size, static_cast<int64_t>(old.size()), true});
  tx.write(PutDelayedSlices{made.id, env.now.sec, encode_delayed_slices(old)});
  return {};
}

}  // namespace

Result<size_t> Meta::repack(Records records) {
  TRY(check_writable());
  TRY(check_records(records));
  if (volume()->change_log) return fail(EOPNOTSUPP, "a volume with a change log has no packs");
  if (!data_.rewrite) return fail(EOPNOTSUPP, "no data path to rewrite slices with");
  std::vector<Slice> parts;
  for (const SparseRecord& record : records) parts.push_back(record.slice);
  const Slice made = TRY(data_.rewrite(parts));
  size_t swapped = 0;
  Status done =
      run(Caller{}, [&](Transaction& tx, OpEnv& env) { return swap_op(tx, env, records, made, &swapped); });
  // Only a commit that is known not to have happened frees the new slice's objects.
  if (code_of(done) == ESTALE && data_.delete_slice) (void)data_.delete_slice(made.id, made.size);
  if (code_of(done) == ESTALE) return size_t{0};
  TRY(std::move(done));
  for (const SparseRecord& record : records) {
    if (data_.chunk_changed) data_.chunk_changed(record.ino, record.index);
  }
  return swapped;
}

}  // namespace cider::meta
