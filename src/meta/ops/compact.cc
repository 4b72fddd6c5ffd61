// compact: rewrites a chunk of many records as few.
//
// Reads:  the chunk's first records (a prefix predicate of the commit: what is appended meanwhile stays
//         behind), that the inode exists.
// Writes: the kept records and the new one in place of the old; the new slice's reference; the old ones'
//         references, or a record of delayed slices where there is a trash. The inode is touched too: JuiceFS
//         watches it when it copies. One commit.
#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/overlay.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

constexpr uint32_t kMaxAtOnce = 1000;
constexpr uint32_t kWorthKeeping = 1 << 20;

struct Plan {
  std::string old_records;      // what is replaced, as bytes
  std::string kept;             // its leading records that stay
  std::vector<Slice> replaced;  // the others
  std::vector<Slice> parts;     // what is seen of them, gaps as holes
  uint32_t pos = 0;
  uint32_t size = 0;  // 0: only holes are seen, and no new slice is needed
};

void set_range(Plan* plan) {
  std::vector<Slice> seen = visible_parts(plan->replaced);
  while (!seen.empty() && seen.back().id == 0) seen.pop_back();
  auto first = std::find_if(seen.begin(), seen.end(), [](const Slice& s) { return s.id != 0; });
  plan->size = 0;
  plan->parts.clear();
  if (first == seen.end()) return;
  plan->pos = first->pos;
  uint32_t end = seen.back().pos + seen.back().len;
  plan->size = end - plan->pos;
  plan->parts = filled_parts(plan->replaced, plan->pos, end);
}

// Holes at the edges that the new slice doesn't reach may cover kept records: then those must be rewritten
// too.
bool hides(const std::vector<Slice>& later, const Slice& kept) {
  return std::any_of(later.begin(), later.end(),
                     [&](const Slice& s) { return s.pos < kept.pos + kept.len && kept.pos < s.pos + s.len; });
}

// A large leading record that nothing later covers stays: rewriting it would cost much and gain one record.
Plan make_plan(const std::vector<Slice>& records, size_t most, bool force) {
  Plan plan;
  plan.replaced.assign(records.begin(), records.begin() + std::min(records.size(), most));
  plan.old_records = encode_slices(plan.replaced);
  while (!force && plan.replaced.size() > 1) {
    std::vector<Slice> rest(plan.replaced.begin() + 1, plan.replaced.end());
    const Slice head = plan.replaced.front();
    if (head.id == 0 || head.len < kWorthKeeping || hides(rest, head)) break;
    append_slice(&plan.kept, head);
    plan.replaced = std::move(rest);
    set_range(&plan);
    uint64_t head_end = uint64_t{head.pos} + head.len;
    bool overlaps = plan.size > 0 && plan.pos < head_end && head.pos < uint64_t{plan.pos} + plan.size;
    if (overlaps) {  // the new slice fills gaps with zeros: it must not lie over what is kept
      plan.kept.resize(plan.kept.size() - kSliceRecordSize);
      plan.replaced.insert(plan.replaced.begin(), head);
      break;
    }
  }
  set_range(&plan);
  return plan;
}

std::vector<DelayedSlice> slices_of(const std::vector<Slice>& records) {
  std::vector<DelayedSlice> out;
  for (const Slice& record : records) {
    if (record.id != 0) out.push_back({record.id, record.size});
  }
  return out;
}

Status commit_op(Transaction& tx, OpEnv& env, Ino ino, uint32_t index, const Plan& plan, const Slice& made) {
  auto& chunk = tx.ask(ChunkRead{ino, index, true, {}, kMaxAtOnce});
  auto& inode = tx.attr(ino, field::type);
  TRY(tx.fetch());
  if (!inode.value || !chunk.records.starts_with(plan.old_records)) return fail(ESTALE);
  std::string records = plan.kept;
  if (plan.size > 0) {
    Slice record = made;
    record.pos = plan.pos;
    append_slice(&records, record);
    tx.write(InsertSliceRef{made.id, made.size, 1});
  } else if (records.empty()) {
    append_slice(&records, Slice{0, 0, 0, 0, kChunkSize});  // a list is never empty
  }
  tx.write(ReplaceSlices{ino, index, plan.old_records, std::move(records)});
  std::vector<DelayedSlice> old = slices_of(plan.replaced);
  if (env.volume.trash_days > 0) {
    if (!old.empty()) tx.write(PutDelayedSlices{made.id, env.now.sec, encode_delayed_slices(old)});
  } else {
    for (const DelayedSlice& slice : old) tx.write(AddSliceRef{slice.id, slice.size, -1});
  }
  tx.write(PatchNode{ino});
  return {};
}

}  // namespace

Status Meta::compact(Ino ino, uint32_t index, bool force) {
  TRY(check_writable());
  if (!data_.rewrite) return fail(EOPNOTSUPP, "no data path to rewrite slices with");
  std::vector<Slice> records = TRY(chunk(ino, index));
  if (records.size() < 2) return {};
  // Without a trash each slice gets a reference less, in the same commit.
  size_t most = kMaxAtOnce;
  if (volume()->trash_days <= 0) most = std::min(most, 2 * store_->records_per_commit());
  Plan plan = make_plan(records, most, force);
  if (plan.replaced.size() < 2) return {};
  Slice made;
  if (plan.size > 0) {
    made = TRY(data_.rewrite(plan.parts));
  } else {
    made.id = TRY(next_slice_id());  // names the record of delayed slices
  }
  Status done =
      run(Caller{}, [&](Transaction& tx, OpEnv& env) { return commit_op(tx, env, ino, index, plan, made); });
  if (!done) {
    // Only a commit that is known not to have happened frees the new slice's objects.
    if (done.error().code == ESTALE && plan.size > 0 && data_.delete_slice)
      (void)data_.delete_slice(made.id, made.size);
    return done.error().code == ESTALE ? Status{} : done;
  }
  if (data_.chunk_changed) data_.chunk_changed(ino, index);
  if (volume()->trash_days <= 0) {
    std::set<std::pair<uint64_t, uint32_t>> old;
    for (const DelayedSlice& slice : slices_of(plan.replaced)) old.insert({slice.id, slice.size});
    delete_unreferenced(old);
  }
  return {};
}

}  // namespace cider::meta
