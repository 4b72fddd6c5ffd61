// Reads ranges of slices from the block cache or the store: each byte once however many ask for it, ahead of
// readers where asked, with a small cache of what was read. All of it counts in the memory budget.
//
// What is in the block cache and in nobody's fetch is read from there, into memory of its own, and kept
// nowhere else. From the store come exact ranges or whole blocks: whole where a part costs as much
// (compressed, encrypted, far away and small), where the reader goes through the file, or where the block
// cache should have it; a block that is read at random is fetched as a range, and whole in the background.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <vector>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "chunk/block_store.h"
#include "chunk/recent_blocks.h"
#include "chunk/store_speed.h"

namespace cider::chunk {

// Bytes [off, off+len) of slice `id`, which is `size` bytes long.
struct SliceRange {
  uint64_t id = 0;
  uint32_t size = 0;
  uint32_t off = 0;
  uint32_t len = 0;
};

// Thread-safe.
class Fetcher {
 public:
  struct Options {
    int threads = 200;
    int tries = 10;           // per range, with growing pauses
    uint32_t step = 4 << 20;  // bytes of one GET, at most, where blocks need not come whole
    int fills = 1;            // blocks fetched for the block cache in the background at once
  };

  Fetcher(BlockStore& blocks, MemoryBudget& budget, Options options);
  ~Fetcher();

  // Reads `wanted`, whose bytes go to the end of `out` in order. `sequential`: the reader will want what
  // follows too. Waits for memory, for fetches of others, and for the store, which it asks on the calling
  // thread where nobody else has. `late` is set if data that was asked for ahead was not there. ENOENT if a
  // block is not there, EINTR on `stop`, ENODATA if a block is damaged, EIO for the rest.
  Status read(std::span<const SliceRange> wanted, bool sequential, BufferChain& out, bool& late,
              std::stop_token stop);

  // Begins to fetch what is missing of `ranges`, as far as memory is free. Never waits.
  void prefetch(std::span<const SliceRange> ranges);

  // Runs a job on one of the fetching threads.
  void submit(WorkerPool::Job job) { pool_.submit(std::move(job)); }

  // Gives back up to `bytes` of memory that holds cached data.
  void evict(size_t bytes);
  // Called from time to time: forgets what has not been asked for since the last call. False if nothing is
  // left.
  bool age();

  size_t memory_used() const { return memory_.used(); }
  void stop();

 private:
  struct Fetch;
  using FetchPtr = std::shared_ptr<Fetch>;
  struct Use {
    FetchPtr fetch;
    uint32_t off = 0;  // in the fetch
    uint32_t len = 0;
  };
  using Key = std::pair<uint64_t, uint32_t>;  // slice, offset in it

  // fetcher.cc
  BlockName block_of(const SliceRange& range) const;
  SliceRange whole_block(const SliceRange& range) const;
  std::vector<bool> in_cache(std::span<const SliceRange> parts) const;
  bool has_arrived(const SliceRange& range) const;
  bool read_fetched(const SliceRange& part, BufferChain& out);
  bool read_cached(const SliceRange& part, BufferChain& out);
  bool read_near(std::span<const SliceRange> wanted, BufferChain& out);
  std::vector<SliceRange> missing(const SliceRange& range) const;
  void add_uses(const SliceRange& range, std::vector<Use>& uses) const;
  FetchPtr create(const SliceRange& range, bool ahead);
  bool has_room(size_t bytes) const;
  bool may_take(size_t bytes) const;
  Status plan(std::span<const SliceRange> wanted, bool sequential, std::vector<Use>& uses,
              std::vector<FetchPtr>& mine, bool& late, std::stop_token stop);
  Status finish(const Use& use, std::stop_token stop);
  Status await(Fetch& fetch, uint32_t needed, std::unique_lock<std::mutex>& lock, std::stop_token stop);
  void hand_out(std::span<const Use> uses, BufferChain& out);
  void fill_from(std::span<const Use> uses);
  void run(const FetchPtr& fetch, std::stop_token stop);
  Status get(const FetchPtr& fetch, std::stop_token stop);
  void note_arrived(Fetch& fetch, uint32_t bytes);
  void offer_block(const Fetch& fetch);

  // fetch_size.cc
  void each_part(const SliceRange& range, FunctionRef<void(const SliceRange&)> visit) const;
  std::vector<SliceRange> parts_of(std::span<const SliceRange> ranges) const;
  // Whether what is read goes into the block cache.
  bool fills() const { return blocks_.cache() && blocks_.cache()->takes_reads(); }
  bool wants_whole(const SliceRange& part, bool sequential);
  void fill(const SliceRange& part);

  void submit_fetch(const FetchPtr& fetch);
  void keep(const FetchPtr& fetch);
  void forget(const FetchPtr& fetch);
  bool evict_one();
  void abandon(std::span<const FetchPtr> fetches);

  BlockStore& blocks_;
  MemoryBudget& budget_;
  MemoryBudget memory_;  // the part of budget_ that reads hold
  const Options options_;
  const size_t cache_limit_;

  mutable std::mutex mutex_;
  std::map<Key, FetchPtr> table_;   // ranges do not overlap
  std::atomic<size_t> fetches_{0};  // in the table; changed under the lock
  std::list<FetchPtr> ahead_;       // fetched, not wholly read; oldest first
  std::list<FetchPtr> cached_;      // wholly read; oldest first
  size_t cached_bytes_ = 0;
  uint64_t age_ = 0;
  int starving_ = 0;             // demand reads that wait for memory
  RecentBlocks touched_;         // read in part lately
  std::set<BlockName> filling_;  // on their way to the block cache
  StoreSpeed speed_;
  std::stop_source stop_;
  WorkerPool pool_;
};

}  // namespace cider::chunk
