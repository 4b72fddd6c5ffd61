// The end of deleted files' data: their chunks' records go with their references, then the objects of slices
// that nobody refers to. Small files go many at a time, long lists of records by portions.
//
// First commits: read the chunks' first records; write their deletion and one reference less per record, the
// last one also the end of the deleted-file records. After each the objects of slices whose count is 0 or
// less; then, in a commit more, those counts. Two cleaners are safe: the second finds empty lists. A crash
// between leaves counts of 0 or less, which clean_unreferenced_slices() finds.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

using SliceSet = std::set<std::pair<uint64_t, uint32_t>>;

struct ChunkKey {
  Ino ino;
  uint32_t index;
};

// How many chunks go into a commit: lists that turned out long make them fewer, as all of them are read.
class Pace {
 public:
  explicit Pace(size_t most) : most_(most) {}
  size_t chunks() const { return std::min(chunks_, most_); }
  void note(size_t records) {
    if (records > most_) chunks_ = std::max<size_t>(chunks_ / 4, 1);
    if (records < most_ / 4) chunks_ = std::min<size_t>(chunks_ * 2, 256);
  }

 private:
  const size_t most_;  // records of a commit
  size_t chunks_ = 64;
};

struct Dropped {
  size_t chunks = 0;   // of those asked for, so many from the first are gone
  size_t records = 0;  // that were read
  SliceSet slices;     // of those that went
};

// What the commit does about one chunk's first records; whether they are the whole list.
bool drop_head(Transaction& tx, const ChunkRead& chunk, Dropped* dropped) {
  auto slices = decode_slices(chunk.records);
  if (!slices) {
    log::error("chunk " + std::to_string(chunk.index) + " of deleted inode " + std::to_string(chunk.ino) +
               " does not decode; its slices are left to gc");
    tx.write(DeleteChunk{chunk.ino, chunk.index});
    return true;
  }
  std::map<std::pair<uint64_t, uint32_t>, int64_t> refs;
  for (const Slice& slice : *slices) {
    if (slice.id != 0) --refs[{slice.id, slice.size}];
  }
  for (const auto& [slice, delta] : refs) {
    tx.write(AddSliceRef{slice.first, slice.second, delta});
    dropped->slices.insert(slice);
  }
  bool whole = slices->size() < chunk.most;
  if (whole) {
    tx.write(DeleteChunk{chunk.ino, chunk.index});
  } else {
    tx.write(ReplaceSlices{chunk.ino, chunk.index, chunk.records, {}});
  }
  return whole;
}

// Drops these chunks from the first on, as far as one commit goes.
Status drop_chunks(Transaction& tx, std::span<const ChunkKey> keys, size_t most, Dropped* dropped) {
  std::vector<const ChunkRead*> reads;
  for (const ChunkKey& key : keys)
    reads.push_back(&tx.ask(ChunkRead{key.ino, key.index, false, {}, static_cast<uint32_t>(most)}));
  TRY(tx.fetch());
  *dropped = {};
  for (const ChunkRead* chunk : reads) dropped->records += chunk->records.size() / kSliceRecordSize;
  size_t taken = 0;
  for (const ChunkRead* chunk : reads) {
    taken += chunk->records.size() / kSliceRecordSize;
    if (dropped->chunks > 0 && taken > most) break;
    if (!chunk->records.empty() && !drop_head(tx, *chunk, dropped)) break;
    ++dropped->chunks;
  }
  return {};
}

}  // namespace

// Deletes the objects of those slices that have no reference left, then their counts.
void Meta::delete_unreferenced(const SliceSet& slices) {
  if (options_.max_deletes == 0 || !data_.delete_slice) return;
  Status done;
  for (auto at = slices.begin(); done && at != slices.end();) {
    auto end = std::ranges::next(at, static_cast<std::ptrdiff_t>(store_->records_per_commit()), slices.end());
    done = delete_if_unreferenced({at, end});
    at = end;
  }
  if (!done) log::warning("deleted slices are left to the next round: " + done.error().to_string());
}

Status Meta::delete_if_unreferenced(const std::vector<std::pair<uint64_t, uint32_t>>& slices) {
  std::vector<SliceRefRead> refs;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        std::vector<SliceRefRead*> asked;
        for (const auto& [id, size] : slices) asked.push_back(&tx.ask(SliceRefRead{id, size, {}}));
        TRY(tx.fetch());
        refs.clear();
        for (const SliceRefRead* ref : asked) {
          if (ref->refs && *ref->refs <= 0) refs.push_back(*ref);
        }
        return {};
      },
      {}));
  if (refs.empty()) return {};
  // What freed the slices must be on disk first: after a power loss the old records would name objects that
  // are gone.
  const auto sync = [this] { return store_->sync(); };
  TRY(data_.sync_with ? data_.sync_with(sync) : sync());
  for (const SliceRefRead& ref : refs) TRY(data_.delete_slice(ref.id, ref.size));
  return store_->run(
      [&](Transaction& tx) -> Status {
        for (const SliceRefRead& ref : refs) tx.write(DeleteSliceRef{ref.id, ref.size});
        return {};
      },
      {});
}

Status Meta::delete_files_data(std::span<const DeletedFile> files) {
  std::vector<ChunkKey> keys;
  for (const DeletedFile& file : TRY(store_->files_with_chunks(files))) {
    for (uint32_t index : TRY(store_->chunks_of(file.ino, file.length))) keys.push_back({file.ino, index});
  }
  const size_t most = store_->records_per_commit();
  Pace pace(most);
  std::span<const ChunkKey> left = keys;
  for (bool all = false; !all;) {
    std::span<const ChunkKey> next = left.first(std::min(left.size(), pace.chunks()));
    Dropped dropped;
    TRY(store_->run(
        [&](Transaction& tx) -> Status {
          TRY(drop_chunks(tx, next, most, &dropped));
          all = dropped.chunks == left.size();
          if (!all) return {};
          for (const DeletedFile& file : files) tx.write(DeleteDeletedFile{file.ino, file.length});
          return {};
        },
        {}));
    delete_unreferenced(dropped.slices);
    pace.note(dropped.records);
    left = left.subspan(dropped.chunks);
  }
  return {};
}

Status Meta::delete_files_now(size_t limit, int64_t grace) {
  const size_t batch = std::min<size_t>(64, store_->records_per_commit());
  std::vector<DeletedFile> files = TRY(store_->deleted_files(clock_.now().sec - grace, limit));
  for (size_t at = 0; at < files.size(); at += batch) {
    TRY(delete_files_data(std::span(files).subspan(at, std::min(batch, files.size() - at))));
  }
  return {};
}

Status Meta::clean_unreferenced_slices() {
  if (Status kept = store_->housekeeping(); !kept)
    log::warning(store_->describe() + ": " + kept.error().to_string());
  SliceSet slices;
  for (const DelayedSlice& slice : TRY(store_->unreferenced_slices(10'000)))
    slices.insert({slice.id, slice.size});
  delete_unreferenced(slices);
  return {};
}

Status Meta::clean_delayed_slices(Time before) {
  for (const DelayedRow& delayed : TRY(store_->delayed_slices(before.sec, 10'000))) {
    for (bool all = false; !all;) {
      SliceSet dropped;
      TRY(store_->run(
          [&](Transaction& tx) -> Status {
            dropped.clear();
            auto& row = tx.ask(DelayedSlicesRead{delayed.id, delayed.deleted, {}});
            TRY(tx.fetch());
            std::vector<DelayedSlice> slices = TRY(decode_delayed_slices(row.records.value_or("")));
            size_t portion = std::min(slices.size(), store_->records_per_commit());
            all = portion == slices.size();
            for (const DelayedSlice& slice : std::span(slices).first(portion)) {
              tx.write(AddSliceRef{slice.id, slice.size, -1});
              dropped.insert({slice.id, slice.size});
            }
            slices.erase(slices.begin(), slices.begin() + static_cast<std::ptrdiff_t>(portion));
            if (!row.records) return {};
            if (all) {
              tx.write(DeleteDelayedSlices{delayed.id, delayed.deleted});
            } else {
              tx.write(PutDelayedSlices{delayed.id, delayed.deleted, encode_delayed_slices(slices)});
            }
            return {};
          },
          {}));
      delete_unreferenced(dropped);
    }
  }
  return {};
}

}  // namespace cider::meta
