#include "cli/gc/compactor.h"

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "cli/gc/each_by_threads.h"
#include "cli/terminal.h"
#include "meta/gc/scan.h"

namespace cider::cli {
namespace {

constexpr size_t kBatch = 1000;
constexpr size_t kOneCompaction = 1000;  // records that Meta::compact() takes at most

// Packs are a block of at most 4 MiB, whoever made them; ours have half of it.
constexpr uint32_t kLargestPack = 4 << 20;
constexpr uint32_t kNewPack = 2 << 20;
constexpr int64_t kRepackMbps = 256;  // 32 MB/s, read and written

struct LongChunk {
  Ino ino = 0;
  uint32_t index = 0;
  size_t records = 0;
};

Status compact_one(meta::Meta& meta, const LongChunk& chunk) {
  for (size_t left = chunk.records; left > 1; left -= std::min(left - 1, kOneCompaction - 1))
    TRY(meta.compact(chunk.ino, chunk.index, false));
  return {};
}

void compact_batch(meta::Meta& meta, int threads, std::vector<LongChunk>* batch, Compacted* done) {
  std::atomic<uint64_t> failed = 0;
  each_by_threads(batch->size(), threads, [&](size_t i) {
    const LongChunk& chunk = (*batch)[i];
    Status compacted = compact_one(meta, chunk);
    if (compacted || compacted.error().code == ENOENT) return;
    log::warning("compaction of inode " + std::to_string(chunk.ino) + ", chunk " +
                 std::to_string(chunk.index) + ": " + compacted.error().to_string());
    ++failed;
  });
  for (const LongChunk& chunk : *batch) done->records += chunk.records;
  done->chunks += batch->size() - failed;
  done->failed += failed;
  batch->clear();
}

// Gathers records until they fill a new pack.
class Gatherer {
 public:
  Gatherer(meta::Meta& meta, uint32_t pack_size) : meta_(meta), pack_size_(pack_size) {}

  void add(const meta::Meta::SparseRecord& record) {
    if (record.slice.len > pack_size_) return;
    const bool fits =
        bytes_ + record.slice.len <= pack_size_ &&
        records_.size() < std::min(meta::Meta::kMostPackMembers / 2, meta_.store().records_per_commit()) &&
        !inodes_.contains(record.ino);
    if (!fits) store();
    records_.push_back(record);
    inodes_.insert(record.ino);
    bytes_ += record.slice.len;
  }

  void store() {
    if (records_.empty()) return;
    Result<size_t> moved = rate_.take(bytes_, {}) ? meta_.repack(records_) : size_t{0};
    if (!moved) {
      log::warning("a pack could not be written anew: " + moved.error().to_string());
      done_.failed += records_.size();
    } else if (*moved > 0) {
      ++done_.packs;
      done_.records += *moved;
      done_.bytes += bytes_;
    }
    records_.clear();
    inodes_.clear();
    bytes_ = 0;
  }

  const Repacked& done() const { return done_; }

 private:
  meta::Meta& meta_;
  const uint32_t pack_size_;
  object::RateLimit rate_{kRepackMbps};
  std::vector<meta::Meta::SparseRecord> records_;
  std::set<Ino> inodes_;
  uint32_t bytes_ = 0;
  Repacked done_;
};

}  // namespace

Result<Compacted> compact_chunks(meta::Meta& meta, int threads) {
  ProgressLine progress("Compacted chunks");
  Compacted done;
  std::vector<LongChunk> batch;
  TRY(meta::each_chunk(meta.store(),
                       [&](const meta::ChunkRow& row, std::span<const Slice> records) -> Status {
                         if (records.size() > 1) batch.push_back({row.ino, row.index, records.size()});
                         if (batch.size() >= kBatch) compact_batch(meta, threads, &batch, &done);
                         progress.update(done.chunks);
                         return {};
                       }));
  compact_batch(meta, threads, &batch, &done);
  return done;
}

SparsePacks find_sparse_packs(const StoredBlocks& stored, const meta::SliceTable& slices,
                              const chunk::Layout& layout) {
  SparsePacks packs;
  const uint32_t largest = std::min(kLargestPack, layout.block_size);
  for (const StoredBlock& block : stored.blocks) {
    if (block.index != 0 || block.bytes > largest) continue;
    for (const meta::KnownSlice& slice : slices.of(block.slice)) {
      if (slice.size == block.bytes && slice.in_chunk && slice.live < slice.size / 2)
        packs.emplace_back(slice.id, slice.size);
    }
  }
  std::ranges::sort(packs);
  return packs;
}

Result<Repacked> leave_packs(meta::Meta& meta, const SparsePacks& packs, const chunk::Layout& layout) {
  Gatherer gatherer(meta, std::min(kNewPack, layout.block_size));
  if (packs.empty()) return gatherer.done();
  ProgressLine progress("Moved records");
  TRY(meta::each_chunk(meta.store(),
                       [&](const meta::ChunkRow& row, std::span<const Slice> records) -> Status {
                         for (const Slice& slice : records) {
                           if (std::ranges::binary_search(packs, std::pair(slice.id, slice.size)))
                             gatherer.add({row.ino, row.index, slice});
                         }
                         progress.update(gatherer.done().records);
                         return {};
                       }));
  gatherer.store();
  return gatherer.done();
}

}  // namespace cider::cli
