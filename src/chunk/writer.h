// The write side: buffers writes, uploads blocks, commits slices in each inode's order.
//
//   write ── OpenChunk ── full blocks ──> upload ──┐
//                │ freeze                          v
//                └────────────> commit log ── head is stored ──> commit ──> flush wakes
//
// One file per idea: writer.cc accepts and freezes, upload.cc stores blocks, commit.cc works off the logs,
// flush.cc waits; pack.cc and pack_commit.cc do what the two do for small slices together.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "base/budget.h"
#include "base/outage_log.h"
#include "base/timer.h"
#include "base/worker_pool.h"
#include "chunk/block_store.h"
#include "chunk/data_path.h"
#include "chunk/file_state.h"
#include "chunk/pack.h"
#include "chunk/pack_lane.h"
#include "chunk/slice_catalog.h"
#include "chunk/unsynced.h"
#include "chunk/write_pressure.h"

namespace cider::chunk {

using FilePtr = std::shared_ptr<FileState>;

// Thread-safe. Lock order: FileState::mutex before Writer::dirty_mutex_ and lane_mutex_, before those inside
// pools, timer and pressure. No lock is held while the store, the catalog or a completion is called.
class Writer {
 public:
  Writer(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, WritePressure& pressure,
         Timer& timer, const DataOptions& options);
  ~Writer() { stop(); }

  Status write(const FilePtr& file, uint64_t off, Buffer data, Time now);
  Status flush(const FilePtr& file, std::stop_token stop, Monotonic::time_point deadline);
  Status fsync(const FilePtr& file, std::stop_token stop);
  void flush_in_background(const FilePtr& file);
  // `keep`: what lies beyond that byte is dropped once `change` has succeeded.
  Status ordered(const FilePtr& file, uint64_t keep, std::stop_token stop,
                 std::move_only_function<Status()> change);
  // Gives up what was written to a file that is gone.
  void discard(const FilePtr& file);
  bool is_gone(const FilePtr& file);
  Monotonic::time_point flush_deadline() const { return Monotonic::now() + options_.flush_timeout; }

  UnsyncedSlices& unsynced() { return unsynced_; }

  // Files whose buffered data is not all cut into slices yet.
  std::vector<FilePtr> files_with_open_data();
  void stop();

 private:
  using Uploads = std::vector<BlockUpload>;
  using PackPtr = std::shared_ptr<PendingPack>;
  class LanePut;

  // writer.cc
  void note_open(const FilePtr& file);
  void freeze_up_to(FileState& file, uint32_t index, Uploads& uploads);
  void freeze_all(FileState& file, Uploads& uploads);
  void send_off(const FilePtr& file, Uploads uploads);
  void tick();
  void keep_ticking();  // with dirty_mutex_ locked
  void submit(WorkerPool& pool, WorkerPool::Job job);
  void relieve();

  // upload.cc
  void submit_uploads(const FilePtr& file, Uploads uploads);
  void submit_upload(const FilePtr& file, BlockUpload upload, Millis pause_after_failure);
  void upload(const FilePtr& file, const BlockUpload& block, Millis pause_after_failure,
              LanePut* put = nullptr);
  bool begin_upload(const BlockUpload& block);  // with the file locked
  Status store_block(const FilePtr& file, const BlockUpload& block);
  void try_again(const FilePtr& file, const BlockUpload& block, const Error& error, Millis pause);
  void note_failed_upload(const FilePtr& file, const Error& error);
  void note_store_takes_data();
  static Millis next_pause(Millis pause);
  static bool is_time_to_ask(FileState& file, Millis pause);  // whether the file is gone

  // pack.cc
  void mark_small(const LogEntry& entry, Uploads& uploads) const;
  void wait_in_lane(const FilePtr& file, const BlockUpload& upload);
  void run_lane();
  void send_together(std::vector<SmallSlice> slices);
  bool join_pack(const SmallSlice& small, bool* alone);
  static void leave_pack(PendingSlice& slice);
  Status store_pack(PendingPack& pack);
  void put_pack(const PackPtr& pack, Millis pause_after_failure, LanePut* put);
  void put_again(const PackPtr& pack, const Error& error, Millis pause);
  void let_go_dropped(PendingPack& pack);

  // pack_commit.cc
  void commit_pack(const PackPtr& pack);
  bool claim(const PendingPack::Member& member, const BlockStore::SliceRef& object, NewPack* commit);
  void note_unsynced(const PendingPack& pack);
  void commit_again(const PackPtr& pack, const Error& error);
  void refused_pack(PendingPack& pack, const Error& error);
  void member_committed(const PendingPack::Member& member, const PackMember& record);
  void member_refused(const PendingPack::Member& member, const Error& error);
  void store_alone(const PendingPack::Member& member);

  // commit.cc
  void advance(const FilePtr& file);
  bool start_commit(FileState& file);
  void commit(const FilePtr& file);
  size_t batch_size(const FileState& file) const;
  void commit_succeeded(const FilePtr& file, size_t batch);
  void commit_failed(const FilePtr& file, size_t batch, const Error& error);
  size_t pop_entries(FileState& file, size_t count);
  void note_records(FileState& file, uint32_t index, std::span<const Slice> committed,
                    std::vector<uint32_t>& crowded);
  static void tell_lost(FileState& file, const LogEntry& entry, const Error& error);
  static void log_lost(const FileState& file, const Error& error);
  void remove_objects(std::vector<BlockStore::SliceRef> slices);

  // flush.cc
  Status wait_for_log(FileState& file, std::unique_lock<std::mutex>& lock, FlushWaiter& waiter,
                      std::stop_token stop, Monotonic::time_point deadline);
  void put_back(FileState& file, std::deque<LogEntry>::iterator place, uint64_t seq,
                std::vector<LogEntry>& withheld, Uploads& uploads);
  void drop(const FilePtr& file, const std::vector<LogEntry>& entries);

  BlockStore& blocks_;
  SliceCatalog& catalog_;
  MemoryBudget& budget_;
  WritePressure& pressure_;
  Timer& timer_;
  const DataOptions options_;

  std::mutex dirty_mutex_;
  std::unordered_map<Ino, FilePtr> dirty_;  // with open chunks
  bool ticking_ = false;
  std::atomic<bool> relieving_{false};
  std::atomic<int> full_store_{
      0};  // the store's errno while it takes nothing more (ENOSPC, EROFS ...), else 0

  OutageLog upload_outage_{"uploads"};
  OutageLog commit_outage_{"commits of written data"};

  const PackLimits pack_limits_;
  std::atomic<bool> packing_;
  std::mutex lane_mutex_;
  PackLane<SmallSlice> lane_;
  bool lane_timer_set_ = false;

  UnsyncedSlices unsynced_;
  std::stop_source stop_;
  WorkerPool uploads_;
  WorkerPool commits_;
};

}  // namespace cider::chunk
