// write-commit: slices whose blocks are in the store become part of a file; and reading a chunk's list.
//
// Reads:  the inode (type, length, parent, nlink, owner), for growth of a file with several links its parent
// map, for a file without
//         a name, or with locks of ours, whether our session lives. One flight, or none with hints.
// Checks: it is a file; the volume has room for the growth.
// Writes: the records at the end of their chunks, one reference per slice, length, mtime, ctime, usage,
// statistics. One commit.
#include <algorithm>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"
#include "meta/ops/slice_commit.h"

namespace cider::meta {
namespace {

Status write_op(Transaction& tx, OpEnv& env, Ino ino, std::span<const ChunkSlice> slices, Time mtime,
                Written* written, std::vector<uint32_t>* counts) {
  // What was written under a lock that is lost must not land: somebody else may have the lock now.
  if (env.open_files.has_lost_locks(ino, env.sid)) return fail(ESTALE, "the locks on the file were lost");
  auto& inode = tx.attr(ino, kWrittenFields, field::all);
  SessionRead* session = env.open_files.has_locks(ino) ? ask_own_session(tx, env) : nullptr;
  TRY(tx.fetch());
  TRY(check_own_session(session));
  if (!inode.value) return fail(ENOENT);
  written->before = *inode.value;
  Attr after = written->before;
  if (!after.is_file()) return fail(EPERM);
  if (after.nlink == 0) {  // belongs to the sessions that keep it open
    session = ask_own_session(tx, env);
    TRY(tx.fetch());
    TRY(check_own_session(session));
  }
  uint64_t length = after.length;
  for (const ChunkSlice& s : slices) length = std::max(length, end_of(s.index, s.slice));
  int64_t growth = static_cast<int64_t>(align4k(length)) - static_cast<int64_t>(align4k(after.length));
  TRY(check_room(tx, env, growth, 0));
  TRY(add_growth(tx, env, ino, after, length));

  for (size_t i = 0; i < slices.size(); ++i) {
    std::string record;
    append_slice(&record, slices[i].slice);
    tx.write(AppendSlices{ino, slices[i].index, std::move(record), &(*counts)[i]});
    tx.write(InsertSliceRef{slices[i].slice.id, slices[i].slice.size, 1});
  }
  after.length = length;
  after.mtime = mtime;
  after.ctime = env.now;
  tx.write(written_patch(ino, after));
  written->attr = after;
  return {};
}

}  // namespace

Result<std::vector<Slice>> Meta::chunk(Ino ino, uint32_t index, const std::stop_token& stop) {
  const OpTimer<"Read"> timer;
  std::string records;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& chunk = tx.ask(ChunkRead{ino, index, false, {}});
        TRY(tx.fetch());
        records = std::move(chunk.records);
        return {};
      },
      stop));
  auto slices = decode_slices(records);
  if (!slices) {
    return fail(EIO, "chunk " + std::to_string(index) + " of inode " + std::to_string(ino) + ": " +
                         slices.error().to_string());
  }
  return slices;
}

Result<std::vector<std::vector<Slice>>> Meta::chunks(std::span<const Ino> inos, uint32_t index) {
  const OpTimer<"Read"> timer;
  std::vector<std::vector<Slice>> out(inos.size());
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        std::vector<const ChunkRead*> asked;
        for (const Ino ino : inos) asked.push_back(&tx.ask(ChunkRead{ino, index, false, {}}));
        TRY(tx.fetch());
        for (size_t i = 0; i < asked.size(); ++i) {
          auto slices = decode_slices(asked[i]->records);
          if (slices) out[i] = std::move(*slices);
        }
        return {};
      },
      {}));
  return out;
}

Result<Written> Meta::write(Ino ino, std::span<const ChunkSlice> slices, Time mtime) {
  const OpTimer<"Write"> timer;
  TRY(check_writable());
  for (const ChunkSlice& s : slices) TRY(check_slice(s.index, s.slice));
  Written written;
  std::vector<uint32_t> counts(slices.size());
  Status done = run(Caller{}, [&](Transaction& tx, OpEnv& env) {
    return write_op(tx, env, ino, slices, mtime, &written, &counts);
  });
  bool earlier = !done && done.error().code == kCommittedBefore;
  if (!done && done.error().code == EEXIST && !slices.empty()) {
    // The slice has a count: an earlier try whose answer got lost was committed, unless somebody else had the
    // id.
    std::vector<Slice> present = TRY(chunk(ino, slices[0].index));
    earlier = std::find(present.begin(), present.end(), slices[0].slice) != present.end();
    if (!earlier) TRY(slice_ids_.skip_used());
  }
  if (earlier) {
    written.attr = TRY(getattr(ino));
    written.before = {};  // not known: as if somebody else had changed the file
    return written;
  }
  TRY(std::move(done));
  for (size_t i = 0; i < slices.size(); ++i) {
    if (counts[i] > written.records) {
      written.records = counts[i];
      written.longest_chunk = slices[i].index;
    }
  }
  return written;
}

}  // namespace cider::meta
