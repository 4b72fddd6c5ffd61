// The end of deleted files' data: their chunks' records go with their references, then the objects of slices
// that nobody refers to. Small files go many at a time.
//
// First commit: reads the chunks' records; writes their deletion, one reference less per record, and the end
// of the deleted-file record. Then the objects of slices whose count is 0 or less; then, second commit, those
// counts. Two cleaners are safe: the second finds empty lists. A crash between leaves counts of 0 or less,
// which clean_unreferenced_slices() finds.
#include <set>

#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

constexpr size_t kChunksPerCommit = 256;

struct ChunkKey {
  Ino ino;
  uint32_t index;
};

// Drops these chunks; `dropped` gets their slices.
Status drop_chunks(Transaction& tx, const std::vector<ChunkKey>& keys,
                   std::set<std::pair<uint64_t, uint32_t>>* dropped) {
  std::vector<ChunkRead*> reads;
  for (const ChunkKey& key : keys) reads.push_back(&tx.ask(ChunkRead{key.ino, key.index, false, {}}));
  TRY(tx.fetch());
  for (const ChunkRead* chunk : reads) {
    if (chunk->records.empty()) continue;
    tx.write(DeleteChunk{chunk->ino, chunk->index});
    auto slices = decode_slices(chunk->records);
    if (!slices) {
      log::error("chunk " + std::to_string(chunk->index) + " of deleted inode " + std::to_string(chunk->ino) +
                 " does not decode; its slices are left to gc");
      continue;
    }
    for (const Slice& slice : *slices) {
      if (slice.id == 0) continue;
      tx.write(AddSliceRef{slice.id, slice.size, -1});
      dropped->insert({slice.id, slice.size});
    }
  }
  return {};
}

}  // namespace

// Deletes the objects of those slices that have no reference left, then their counts.
void Meta::delete_unreferenced(const std::set<std::pair<uint64_t, uint32_t>>& slices) {
  if (options_.max_deletes == 0 || !data_.delete_slice || slices.empty()) return;
  std::vector<SliceRefRead> refs;
  Status done = store_->read(
      [&](Transaction& tx) -> Status {
        std::vector<SliceRefRead*> asked;
        for (const auto& [id, size] : slices) asked.push_back(&tx.ask(SliceRefRead{id, size, {}}));
        TRY(tx.fetch());
        for (const SliceRefRead* ref : asked) {
          if (ref->refs && *ref->refs <= 0) refs.push_back(*ref);
        }
        return {};
      },
      {});
  // What freed the slices must be on disk first: after a power loss the old records would name objects that
  // are gone.
  const auto sync = [this] { return store_->sync(); };
  if (done && !refs.empty()) done = data_.sync_with ? data_.sync_with(sync) : sync();
  for (const SliceRefRead& ref : refs) {
    if (!done) break;
    done = data_.delete_slice(ref.id, ref.size);
  }
  if (done && !refs.empty()) {
    done = store_->run(
        [&](Transaction& tx) -> Status {
          for (const SliceRefRead& ref : refs) tx.write(DeleteSliceRef{ref.id, ref.size});
          return {};
        },
        {});
  }
  if (!done) log::warning("deleted slices are left to the next round: " + done.error().to_string());
}

Status Meta::delete_files_data(std::span<const DeletedFile> files) {
  std::vector<ChunkKey> keys;
  std::vector<DeletedFile> finished;
  std::set<std::pair<uint64_t, uint32_t>> dropped;
  auto commit = [&]() -> Status {
    if (keys.empty() && finished.empty()) return {};
    TRY(store_->run(
        [&](Transaction& tx) -> Status {
          dropped.clear();
          TRY(drop_chunks(tx, keys, &dropped));
          for (const DeletedFile& file : finished) tx.write(DeleteDeletedFile{file.ino, file.length});
          return {};
        },
        {}));
    delete_unreferenced(dropped);
    keys.clear();
    finished.clear();
    return {};
  };
  for (const DeletedFile& file : files) {
    for (uint32_t index : TRY(store_->chunks_of(file.ino, file.length))) {
      keys.push_back({file.ino, index});
      if (keys.size() >= kChunksPerCommit) TRY(commit());
    }
    finished.push_back(file);
  }
  return commit();
}

Status Meta::delete_files_now(size_t limit) {
  // One hour, as JuiceFS: whoever deleted a file is given the time to remove its data itself.
  constexpr int64_t kGrace = 3600;
  constexpr size_t kBatch = 64;
  std::vector<DeletedFile> files = TRY(store_->deleted_files(clock_.now().sec - kGrace, limit));
  for (size_t at = 0; at < files.size(); at += kBatch) {
    TRY(delete_files_data(std::span(files).subspan(at, std::min(kBatch, files.size() - at))));
  }
  return {};
}

Status Meta::clean_unreferenced_slices() {
  std::set<std::pair<uint64_t, uint32_t>> slices;
  for (const DelayedSlice& slice : TRY(store_->unreferenced_slices(10'000)))
    slices.insert({slice.id, slice.size});
  delete_unreferenced(slices);
  return {};
}

Status Meta::clean_delayed_slices(Time before) {
  for (const DelayedRow& delayed : TRY(store_->delayed_slices(before.sec, 10'000))) {
    std::set<std::pair<uint64_t, uint32_t>> dropped;
    TRY(store_->run(
        [&](Transaction& tx) -> Status {
          dropped.clear();
          auto& row = tx.ask(DelayedSlicesRead{delayed.id, delayed.deleted, {}});
          TRY(tx.fetch());
          if (!row.records) return {};
          for (const DelayedSlice& slice : TRY(decode_delayed_slices(*row.records))) {
            tx.write(AddSliceRef{slice.id, slice.size, -1});
            dropped.insert({slice.id, slice.size});
          }
          tx.write(DeleteDelayedSlices{delayed.id, delayed.deleted});
          return {};
        },
        {}));
    delete_unreferenced(dropped);
  }
  return {};
}

}  // namespace cider::meta
