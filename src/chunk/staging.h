// Write-back: blocks are written to `rawstaging/` of the cache directories first and uploaded later.
// Layout: JuiceFS 1.4's, so a client of either kind takes over what the other has left: one file for each
// block (cache/block_file.h) under the object's key, plain, always with checksums; a hard link in `raw/`.
// Encrypted ones (cache/sealed_file.h) lie in `sealedstaging/`, with a hard link in `sealed/`. Whatever a
// mount writes itself, it uploads both, if it has the key.
//
// Promises:
// - add() returns when the block survives a power loss, in a file with its name or, first, in a journal
//   (staging_journal.h); the slice is committed after that;
// - a block stays until it is durable in the store. It is uploaded the oldest first, again and again;
// - a name may be staged again with other bytes, as a metadata engine that has lost its last commits gives
//   numbers out again. The newest bytes that add() has acknowledged stay and are read, and reach the store
//   last, whatever runs meanwhile or crashes: what changes the files of one name takes turns, uploads of one
//   name follow one another, and the end of an upload removes only what it has uploaded;
// - a damaged or half-written file of an earlier run is moved to `damaged/`, named in the log, and not tried
//   again; one that somebody else has uploaded and removed is done.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/outage_log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/worker_pool.h"
#include "chunk/cache/disk_cache.h"
#include "chunk/folder_sync.h"
#include "chunk/staging_journal.h"
#include "chunk/upload_window.h"

namespace cider::chunk {

struct StagingOptions {
  bool accept = true;               // false: only what earlier runs have left is looked after, and
  bool spill = false;               // blocks that the store did not take
  uint64_t threshold = 0;           // blocks of this length and longer are not staged; 0: all are
  int max_writers = 1000;           // blocks being written at once
  uint64_t max_bytes = 0;           // in all directories; 0: until half of the free-space ratio is reached
  std::chrono::seconds max_age{0};  // while a block has waited longer, no more are staged; 0: no limit
  std::chrono::seconds delay{0};
  UploadHours hours;
  int uploads = 20;  // at once
  // While blocks are staged one after the other, with no such pause between them, a tenth of the uploads run:
  // whoever writes comes first. Not for longer than this, though.
  std::chrono::milliseconds pause{50};
  std::chrono::milliseconds patience{5000};
  JournalOptions journal;
};

// The store's side.
struct StagingTarget {
  // Stores a block so that it survives a power loss.
  std::function<Status(const BlockName&, const BufferChain&, std::stop_token)> upload;
  std::function<Result<bool>(const BlockName&)> exists;
  std::function<void(const BlockName&)> remove;
};

// Thread-safe.
class Staging {
 public:
  struct Usage {
    uint64_t blocks = 0;
    uint64_t bytes = 0;
  };
  using Progress = std::function<void(const Usage& left)>;

  // `cache` may be null; what is given outlives this.
  Staging(std::shared_ptr<CacheDirs> dirs, DiskCache* cache, StagingTarget target, StagingOptions options,
          MemoryBudget& budget, MetricSet& metrics, const Clock& clock = Clock::system());
  ~Staging();

  // Finds what earlier runs have left, and begins to upload. A directory that another process of ours has is
  // looked through once that has ended.
  void start();
  // What is under way is given up; what is left waits for the next run.
  void stop();

  // Stages a block; false if it has to go to the store instead, as a limit is reached, no disk is usable, or
  // the disk failed. `refused`: the store has not taken it.
  bool add(const BlockName& block, const BufferChain& data, bool refused = false);
  bool holds(const BlockName& block) const;
  // Reads from a staged block. False: it is not staged (any more), ask the store. An error: it is, and cannot
  // be read.
  Result<bool> read(const BlockName& block, uint32_t off, std::span<std::byte> out);
  // The block's slice is gone: true if the store has no object of it either, or will have none once an upload
  // that runs has ended.
  bool remove(const BlockName& block);
  // The store is about to get a block of this name from somebody else: what is staged under it is given up,
  // and will not reach the store any more, when this returns. EINTR on `stop`.
  Status supersede(const BlockName& block, std::stop_token stop = {});

  // Uploads all that is staged now, whatever delay and hours say, and waits for it. EINTR on `stop`.
  Status drain(std::stop_token stop, const Progress& progress = {});
  Usage usage() const;

 private:
  struct Item;
  struct Left;
  class Turn;
  using ItemPtr = std::shared_ptr<Item>;

  bool accepts(const BlockName& block, const ItemPtr& earlier, bool refused) const;
  Status write(size_t place, const BlockName& block, const BufferChain& data, const Item* earlier,
               bool* journaled);
  Status replace(CacheDir& dir, const BlockName& block, const BufferChain& data, const Item* earlier);
  Status sync_name(CacheDir& dir, const BlockPath& path, const BlockName& block);
  Status sync_folder(const CacheDir& dir, const BlockPath& path);
  void insert(const BlockName& block, size_t place, BlockForm form, Time added, bool journaled,
              const ItemPtr& earlier);
  BlockPath path_of(const Item& item) const;
  Result<BlockFile> open_file(const Item& item) const;
  ItemPtr find(const BlockName& block) const;
  Result<OpenFiles::Lease> open(const Item& item);
  void recover(size_t place);
  void take_over(size_t place, const Left& left);
  void find_left(CacheDir& dir, BlockForm form, std::vector<Left>* found);
  bool lock_dir(size_t place);

  void wake();
  int uploads_now() const;
  void dispatch(const std::stop_token& stop);
  ItemPtr next_due();
  void upload(const ItemPtr& item);
  bool end_upload(const ItemPtr& item, const Status& uploaded);
  void settle(const ItemPtr& item, const Status& uploaded);
  bool is_current(const ItemPtr& item) const;
  Status try_upload(const ItemPtr& item);
  Result<BufferChain> load(const Item& item);
  void set_aside(const Item& item, const Error& error);
  void finish(const ItemPtr& item);
  void try_later(const ItemPtr& item, const Error& error);
  void put_in(ItemPtr item);
  void take_out(const ItemPtr& item);
  void erase(const ItemPtr& item);
  Buffer unwritten(const Item& item) const;
  Buffer remove_file(const Item& item);
  std::unique_ptr<StagingJournal> make_journal(size_t place);
  bool may_upload_now(const Item& item) const;

  const std::shared_ptr<CacheDirs> dirs_;
  DiskCache* const cache_;
  const StagingTarget target_;
  const StagingOptions options_;
  MemoryBudget& budget_;
  const Clock& clock_;
  Counter& blocks_metric_;
  Counter& bytes_metric_;
  Counter& delay_metric_;
  Counter& errors_metric_;
  Counter& journaled_metric_;

  FolderSync folders_;
  std::vector<std::unique_ptr<StagingJournal>> journals_;  // by place
  OpenFiles open_;
  std::atomic<int> writing_{0};

  OutageLog upload_outage_{"uploads of staged blocks"};
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable_any changed_;
  std::set<BlockName> turns_;  // names that somebody has a turn with
  std::condition_variable turn_over_;
  std::map<BlockName, ItemPtr> items_;
  std::map<BlockName, bool> under_way_;           // uploads; true: its object is not wanted any more
  std::set<std::pair<uint64_t, ItemPtr>> queue_;  // by number: the order of age
  std::set<uint64_t> numbers_;                    // of all items
  std::atomic<size_t> held_{0};                   // items_.size()
  uint64_t next_number_ = 0;
  uint64_t bytes_ = 0;
  int draining_ = 0;
  Monotonic::time_point last_staged_{};
  Monotonic::time_point crowd_since_{};  // the first of those that were staged without a pause
  bool look_ = false;                    // for the dispatcher: something may be due
  std::vector<UniqueFd> locks_;          // of directories, by place

  std::stop_source stopping_;
  WorkerPool uploads_;
  std::jthread dispatcher_;
};

}  // namespace cider::chunk
