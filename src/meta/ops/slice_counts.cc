// mend_count: makes the count of a slice agree with the records that name it.
//
// Reads:  the count, exactly; the chunks and the delayed slices that a scan has found to name the slice, each
//         of them as a predicate of the commit: these records are there when the count is set.
// Writes: the difference, added to the count; where there is none (SQL), the count. One commit.
//
// Raising is safe at any time. All records that were counted exist at the commit, so that the count does not
// become larger than the truth, and what others add or take off comes before the commit (the count differs,
// and the operation is run again) or after it, on top.
//
// Lowering is not: a record that the scan has missed would be left without a reference. Who adds a record
// adds to the count, so the scan is wrong unnoticed only where a record came behind it and another went
// before it, such as in a copy whose source is removed. So whoever lowers says by how much at most: by what
// other scans, at other times, have found too much as well.
#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

using ChunkKeys = std::span<const std::pair<Ino, uint32_t>>;

Result<int64_t> records_in(const ChunkRead& chunk, const Meta::SliceUses& uses) {
  int64_t n = 0;
  for (const Slice& slice : TRY(decode_slices(chunk.records)))
    n += slice.id == uses.id && slice.size == uses.size ? 1 : 0;
  return n;
}

Result<int64_t> count_in_chunks(Transaction& tx, ChunkKeys keys, const Meta::SliceUses& uses) {
  std::vector<const ChunkRead*> chunks;
  for (const auto& [ino, index] : keys) chunks.push_back(&tx.ask(ChunkRead{ino, index, false, {}, 0}));
  TRY(tx.fetch());
  int64_t n = 0;
  for (const ChunkRead* chunk : chunks) n += TRY(records_in(*chunk, uses));
  return n;
}

Result<int64_t> count_in_delayed(Transaction& tx, const Meta::SliceUses& uses) {
  std::vector<const DelayedSlicesRead*> rows;
  for (const DelayedRow& row : uses.delayed)
    rows.push_back(&tx.ask(DelayedSlicesRead{row.id, row.deleted, {}}));
  TRY(tx.fetch());
  int64_t n = 0;
  for (const DelayedSlicesRead* row : rows) {
    for (const DelayedSlice& slice : TRY(decode_delayed_slices(row->records.value_or(""))))
      n += slice == DelayedSlice{uses.id, uses.size} ? 1 : 0;
  }
  return n;
}

// `counted`: in other chunks than `keys`.
Status mend_op(Transaction& tx, ChunkKeys keys, const Meta::SliceUses& uses, int64_t counted,
               int64_t most_lowered, Meta::CheckedCount* found) {
  *found = {};
  const SliceRefRead& count = tx.ask(SliceRefRead{uses.id, uses.size, {}, true});
  found->records = counted + TRY(count_in_chunks(tx, keys, uses)) + TRY(count_in_delayed(tx, uses));
  found->refs = count.refs;
  const int64_t missing = found->records - count.refs.value_or(0);
  found->added = std::max(missing, -most_lowered);
  if (found->added == 0) return {};
  if (count.refs) {
    tx.write(AddSliceRef{uses.id, uses.size, found->added});
  } else {
    tx.write(InsertSliceRef{uses.id, uses.size, found->records});
  }
  return {};
}

}  // namespace

Result<Meta::CheckedCount> Meta::mend_count(const SliceUses& uses, int64_t most_lowered) {
  TRY(check_writable());
  // More than fits a commit is counted before it. Should some of that go meanwhile, the count becomes too
  // large, which costs space but no data.
  int64_t counted = 0;
  ChunkKeys keys = uses.chunks;
  const size_t most = store_->records_per_commit();
  while (keys.size() > most) {
    TRY(store_->read(
        [&](Transaction& tx) -> Status {
          counted += TRY(count_in_chunks(tx, keys.first(most), uses));
          return {};
        },
        {}));
    keys = keys.subspan(most);
  }
  CheckedCount found;
  TRY(store_->run([&](Transaction& tx) { return mend_op(tx, keys, uses, counted, most_lowered, &found); },
                  {}));
  return found;
}

}  // namespace cider::meta
