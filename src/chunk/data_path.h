// File data of one mount: what vfs/ sees of chunk/. Reads and writes by inode and offset; buffering,
// read-ahead, upload and commit order are behind it. Thread-safe.
//
// Promises:
// - a read on this client sees every write that write() has accepted on this client, committed or not;
// - the file's length is never committed before the data below it;
// - flush() and fsync() return when what was written before is committed (fsync: and survives a power loss),
// or with the error;
// - while the store fails or is full, data is kept and tried again until it is stored; a flush answers the
//   error (at once when the store is full, else after `flush_timeout`) and may be repeated. Once much waits
//   for a full store, write() answers the error too and takes nothing. The data of a file that is gone is
//   dropped silently;
// - what metadata refuses for good (ENOSPC, EDQUOT ...) is dropped. That error is told once: to the flushes
//   that wait for the data, or else to the inode's next one. Reads then show what is committed, and the file
//   works again: no error sticks;
// - so data is safe once a flush has answered success, and only then;
// - memory stays within the budget plus what callers are waiting with.
//
// Buffers that read() returned must be gone before the DataPath is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/result.h"
#include "base/types.h"
#include "chunk/block_store.h"
#include "chunk/slice_catalog.h"

namespace cider::chunk {

struct DataOptions {
  int max_uploads = 20;               // blocks in upload at once
  int max_downloads = 200;            // GETs at once
  uint64_t max_readahead = 32 << 20;  // bytes per stream
  uint32_t fetch_size = 4 << 20;      // bytes of one GET, at most, where blocks need not come whole
  int prefetch = 1;                   // blocks read at random that are fetched for the cache at once
  int io_retries = 10;                // tries of a GET, with growing pauses
  // Small slices of several files share objects (pack.h), of at most so many bytes.
  bool packing = true;
  uint32_t pack_size = 2 << 20;
  size_t pack_members = 128;
  // A flush that waits longer answers EIO (the data is kept and retried).
  std::chrono::seconds flush_timeout{300};
  // Written data is sent off by itself when its chunk has not been written to for this long, ...
  std::chrono::milliseconds longest_idle{1000};
  // ... and at the latest this long after the first write.
  std::chrono::milliseconds longest_open{5000};
};

// Data accepted but not yet committed for an inode.
struct Pending {
  uint64_t length = 0;  // the end of the last accepted write; the file is at least this long for this client
  Time mtime;           // of the last accepted write
};

class DataPath {
 public:
  DataPath(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, DataOptions options);
  ~DataPath();  // stop() must have been called

  // Reads up to `size` bytes at `off` of a file that is `length` bytes long (as the caller knows it; pending
  // writes of this client count in addition. A caller that looks up the length asks pending() first and takes
  // the larger, as a commit may come in between). Shorter only at the end of file. Holes read as zeros.
  // `stream` tells handles apart for read-ahead. ENOENT of a block is retried with a fresh slice list once,
  // then EIO.
  Result<BufferChain> read(Ino ino, uint64_t stream, uint64_t length, uint64_t off, uint32_t size,
                           std::stop_token stop);

  // Takes over `data` for [off, off+size). Never waits for memory or the store.
  Status write(Ino ino, uint64_t off, Buffer data, Time now);

  // Calls `done` when writers should go on: at once while dirty data is below its share of the budget, later
  // otherwise; or when `stop` is requested. From any thread, exactly once. The reply to a WRITE is held until
  // then.
  void when_writable(std::stop_token stop, std::move_only_function<void()> done);

  // Waits until everything accepted before for `ino` is committed. EINTR leaves the work going on in the
  // background.
  Status flush(Ino ino, std::stop_token stop);
  // Also waits until it survives a power loss, as far as the store is concerned. An error stays until the
  // data that the store's disk has failed to keep is gone.
  Status fsync(Ino ino, std::stop_token stop);
  // Runs `metadata`, which makes committed metadata survive a power loss: of all inodes, whoever asked. So
  // their blocks are synced before it, lest new records replace old data that was safe and have none.
  Status sync_metadata(std::move_only_function<Status()> metadata);
  // Starts committing what is left of `ino`, without waiting (RELEASE).
  void flush_in_background(Ino ino);
  bool has_pending(Ino ino) const;
  std::optional<Pending> pending(Ino ino) const;

  // Runs `change` (a truncate, fallocate or copy_file_range in metadata) at its place in the inode's commit
  // order: after everything accepted before, with later commits held back until it returns.
  Status ordered(Ino ino, std::stop_token stop, std::move_only_function<Status()> change);

  // As ordered, for a change that cuts the file to `length`: what was written beyond and is not yet on its
  // way to the store is not stored any more. If the change fails, it is stored after all.
  Status truncate(Ino ino, uint64_t length, std::stop_token stop, std::move_only_function<Status()> change);

  // Forgets cached slice lists and read-ahead of `ino`: after truncate, copy, compaction, or a change by
  // another client.
  void invalidate(Ino ino);

  // The data of slices as one run of bytes, for compaction: reads `parts` in order and writes them as a new
  // slice. Returns the new slice (pos 0, off 0), which survives a power loss, as what it replaces may have
  // been fsynced. Nothing is committed.
  Result<Slice> rewrite(std::span<const Slice> parts, std::stop_token stop);

  // Commits everything of all inodes. If something could not be: the first error, with the file (`name`, or
  // the inode's number) and how many others there are.
  Status flush_all(std::chrono::milliseconds deadline, std::stop_token stop = {},
                   const std::function<std::string(Ino)>& name = {});
  // Stops all threads. After flush_all.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cider::chunk
