// Blocks in files of the cache directories, in JuiceFS's layout, or encrypted beside it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "chunk/block_cache.h"
#include "chunk/cache/block_index.h"
#include "chunk/cache/cache_dirs.h"
#include "chunk/cache/cache_metrics.h"
#include "chunk/cache/cache_options.h"
#include "chunk/cache/memory_cache.h"
#include "chunk/cache/open_files.h"

namespace cider::chunk {

// While no directory is usable, blocks are kept in memory (100 MiB).
class DiskCache : public BlockCache {
 public:
  struct Options {
    CacheOptions cache;
    uint32_t block_size = 4 << 20;
    uint64_t pending_bytes = 60 << 20;  // of offered blocks that wait to be written
    Millis stop_limit{3'000};           // how long stop() writes them
  };

  // `dirs` has at least one directory. Nothing is read before start().
  DiskCache(std::shared_ptr<CacheDirs> dirs, Options options, MetricSet& metrics);
  ~DiskCache() override;

  // Begins to look for what is there, and to look after the directories.
  void start();
  // What waits is still written, within Options::stop_limit; the rest is dropped. Before what `data` of
  // offer() is charged to goes.
  void stop();

  bool read(const BlockName& block, uint32_t off, std::span<std::byte> out) override;
  bool contains(const BlockName& block) const override;
  void offer(const BlockName& block, BufferChain data, Origin origin) override;
  void put(const BlockName& block, BufferChain data) override;
  void remove(const BlockName& block) override;
  bool takes_reads() const override { return !options_.cache.only_asked; }
  std::string where(const BlockName& block) const override;

  // A block that was staged at `path` in directory `dir`, in the form of what is cached there, gets a name in
  // raw/ (or sealed/) too, and isn't evicted until uploaded().
  void staged(const BlockName& block, size_t dir, const char* path);
  void uploaded(const BlockName& block, size_t dir);

  // All that was offered has been written or dropped; for tests and tools.
  void drain();
  // Looks through all directories now.
  void rescan();
  // What threads do each second for each directory.
  void look_after();

 private:
  struct Dir {
    BlockIndex index;
    std::atomic<bool> scanning{false};
    std::atomic<int64_t> writes_resume{0};  // monotonic nanoseconds; after an error, writes pause
    size_t next_part = 0;
    std::mutex eviction;
  };
  struct Hash {
    size_t operator()(const BlockName& b) const { return (b.slice * 31 + b.index) * 0x9e3779b97f4a7c15; }
  };
  class PageCacheTail;

  enum class Waiting { no, read, removed };
  Waiting read_pending(const BlockName& block, uint32_t off, std::span<std::byte> out) const;
  bool is_pending(const BlockName& block) const;
  bool is_on_disk(size_t place, const BlockName& block) const;
  bool read_file(size_t place, const BlockName& block, uint32_t off, std::span<std::byte> out);
  Result<OpenFiles::Lease> open(size_t place, const BlockName& block);
  void damaged(size_t place, const BlockName& block, const Error& error);
  void lost(size_t place, const BlockName& block, const Error& error);

  void write(const BlockName& block, const BufferChain& data, bool read_soon);
  Status write_file(size_t place, const BlockName& block, const BufferChain& data, bool read_soon);
  void written(const BlockName& block);
  void replace(const BlockName& block);
  void added(Dir& dir, const BlockName& block, bool staged);
  void forget(size_t place, const BlockName& block, bool unlink);

  bool is_over(const Dir& dir) const;
  void evict(size_t place, uint64_t bytes_to_free, uint64_t blocks_to_free);
  void expire(size_t place);
  void look_after(size_t place, bool check_identity);
  void tend(size_t place, bool check_identity);
  void scan(size_t place);
  void run(size_t place, const std::stop_token& stop);
  void run_scans(const std::stop_token& stop);
  BlockIndex::Tick now() const;
  void count(const BlockName& block, int sign);

  const std::shared_ptr<CacheDirs> files_;
  const Options options_;
  const uint64_t size_per_dir_;
  const uint64_t items_per_dir_;
  CacheMetrics metrics_;
  MemoryCache fallback_;
  const Monotonic::time_point start_ = Monotonic::now();
  std::vector<std::unique_ptr<Dir>> dirs_;
  OpenFiles open_;
  std::unique_ptr<PageCacheTail> tail_;

  mutable std::shared_mutex pending_mutex_;
  std::condition_variable_any pending_gone_;
  std::unordered_map<BlockName, BufferChain, Hash> pending_;  // written blocks leave; removed ones turn empty
  std::atomic<uint64_t> pending_bytes_{0};                    // changed under the lock
  std::atomic<size_t> pending_count_{0};

  std::stop_source stopping_;
  WorkerPool writers_;
  std::jthread scanner_;
  std::vector<std::jthread> keepers_;
};

}  // namespace cider::chunk
