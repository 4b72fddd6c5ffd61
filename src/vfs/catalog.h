// Joins chunk/ and meta/: the slice lists that the data path reads and extends are metadata's.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "chunk/block_store.h"
#include "chunk/data_path.h"
#include "chunk/slice_catalog.h"
#include "meta/meta.h"

namespace cider::vfs {

// Slices by meta::Meta. Chunks with many records are compacted by one thread of its own. Thread-safe.
class MetaCatalog : public chunk::SliceCatalog {
 public:
  explicit MetaCatalog(meta::Meta& meta);
  ~MetaCatalog() override;

  // Hears of every commit before commit() returns: the attributes before and after it, or its error. Set
  // once, before the first commit.
  struct Committed {
    Ino ino = 0;
    const Result<meta::Written>& result;
  };
  void on_commit(std::function<void(const Committed&)> listener) { listener_ = std::move(listener); }

  Result<uint64_t> next_slice_id() override;
  Result<std::vector<Slice>> slices(Ino ino, uint32_t index, bool fresh, std::stop_token stop) override;
  Result<std::vector<std::vector<Slice>>> first_slices(std::span<const Ino> inos) override;
  Status commit(Ino ino, std::span<const chunk::NewSlice> slices, Time mtime) override;
  Result<std::vector<Status>> commit_pack(chunk::NewPack& pack) override;
  Result<bool> exists(Ino ino) override;
  void suggest_compaction(Ino ino, uint32_t index) override;

  // Ends compaction. Before meta::Meta::stop().
  void stop();

 private:
  static constexpr uint32_t kManyRecords = 100;
  static constexpr size_t kMaxQueue = 10'000;
  using ChunkId = std::pair<Ino, uint32_t>;

  void compact_queued(std::stop_token stop);

  meta::Meta& meta_;
  std::function<void(const Committed&)> listener_;
  std::mutex mutex_;
  std::condition_variable_any queued_;
  std::deque<ChunkId> queue_;
  std::set<ChunkId> waiting_;
  std::jthread compactor_;
};

// What Meta::start() needs of the data path. Both must outlive Meta's stop().
meta::DataCallbacks data_callbacks(chunk::DataPath& data, chunk::BlockStore& blocks);

}  // namespace cider::vfs
