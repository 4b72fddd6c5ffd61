// Waiting for an inode's commit log: flush, fsync, and metadata changes that take their place in it.
#include <algorithm>

#include "chunk/withhold.h"
#include "chunk/writer.h"

namespace cider::chunk {

Status Writer::flush(const FilePtr& file, std::stop_token stop, Monotonic::time_point deadline) {
  Uploads uploads;
  FlushWaiter waiter;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, uploads);
    waiter.target = file->last_seq;
    file->waiters.push_back(&waiter);
    if (file->untold_error) waiter.error = std::exchange(file->untold_error, std::nullopt);
  }
  send_off(file, std::move(uploads));
  std::unique_lock lock(file->mutex);
  Status status = wait_for_log(*file, lock, waiter, std::move(stop), deadline);
  std::erase(file->waiters, &waiter);
  if (!status && status.error().code == EINTR && waiter.error) {
    file->untold_error = std::move(waiter.error);  // this caller goes away without it
  } else if (waiter.error) {
    return fail(*std::move(waiter.error));
  }
  return status;
}

// Waits until no entry up to the waiter's target is left.
Status Writer::wait_for_log(FileState& file, std::unique_lock<std::mutex>& lock, FlushWaiter& waiter,
                            std::stop_token stop, Monotonic::time_point deadline) {
  auto done = [&] { return file.log.empty() || file.log.front().seq > waiter.target; };
  const uint64_t failures_before = file.failed_uploads;
  while (!done()) {
    // A store that is full will hardly have room soon; the data stays and is tried again.
    if (full_store_.load() != 0 && file.failed_uploads != failures_before) return fail(file.upload_error);
    if (stop.stop_requested()) return fail(EINTR);
    if (Monotonic::now() >= deadline) {
      std::string why = file.upload_error.code ? file.upload_error.to_string() : "";
      return fail(EIO, "data could not be stored in time: " + why);
    }
    file.changed.wait_until(lock, stop, deadline, [&, failed = file.failed_uploads] {
      return done() || file.failed_uploads != failed;
    });
  }
  return {};
}

Status Writer::fsync(const FilePtr& file, std::stop_token stop) {
  TRY(flush(file, stop, flush_deadline()));
  return unsynced_.sync(file->ino, std::move(stop));
}

void Writer::flush_in_background(const FilePtr& file) {
  Uploads uploads;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, uploads);
  }
  send_off(file, std::move(uploads));
}

Status Writer::ordered(const FilePtr& file, uint64_t keep, std::stop_token stop,
                       std::move_only_function<Status()> change) {
  Uploads uploads;
  uint64_t seq;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, uploads);
    std::vector<LogEntry> withheld = withhold(*file, keep, blocks_.layout().block_size);
    LogEntry& entry = file->log.emplace_back();
    entry.seq = seq = ++file->last_seq;
    entry.is_change = true;
    entry.withheld = std::move(withheld);
    file->changed.notify_all();  // what is withheld is not waited for
  }
  send_off(file, std::move(uploads));
  std::unique_lock lock(file->mutex);
  FlushWaiter waiter{.target = seq - 1};
  Status status = wait_for_log(*file, lock, waiter, std::move(stop), flush_deadline());
  const bool tried = !!status;
  if (tried) {
    file->log.front().applying = true;
    lock.unlock();
    status = change();
    lock.lock();
    file->records.clear();
    file->records_version++;
    file->streams.clear();
  }
  auto own = std::find_if(file->log.begin(), file->log.end(),
                          [&](const LogEntry& entry) { return entry.seq == seq; });
  std::vector<LogEntry> withheld = std::move(own->withheld);
  own = file->log.erase(own);
  Uploads wanted_again;
  if (!status) put_back(*file, own, seq, withheld, wanted_again);
  file->last_used = Monotonic::now();
  file->changed.notify_all();
  lock.unlock();
  if (status) drop(file, withheld);
  send_off(file, std::move(wanted_again));
  return status;
}

// A change has failed, so that what it would have made unwanted is wanted again: it takes the change's place.
void Writer::put_back(FileState& file, std::deque<LogEntry>::iterator place, uint64_t seq,
                      std::vector<LogEntry>& withheld, Uploads& uploads) {
  for (LogEntry& entry : withheld) {
    entry.seq = seq;
    for (const auto& slice : entry.slices) {
      slice->fate = PendingSlice::Fate::wanted;
      for (uint32_t i = 0; i < slice->blocks.size(); i++) {
        if (!slice->blocks[i].stored) uploads.push_back({slice, i});
      }
    }
  }
  file.log.insert(place, std::make_move_iterator(withheld.begin()), std::make_move_iterator(withheld.end()));
}

// Gives up entries that nobody wants any more.
void Writer::drop(const FilePtr& file, const std::vector<LogEntry>& entries) {
  size_t bytes = 0;
  std::vector<BlockStore::SliceRef> unwanted;
  std::vector<BufferChain> freed;
  {
    std::lock_guard lock(file->mutex);
    for (const LogEntry& entry : entries) {
      bytes += entry.upkeep;
      for (const auto& slice : entry.slices) {
        slice->fate = PendingSlice::Fate::dropped;
        for (PendingSlice::Block& block : slice->blocks) {
          if (block.stored || block.running) continue;
          bytes += block.bytes;
          freed.push_back(std::exchange(block.data, {}));
        }
        // Objects that an upload is just making are removed when it ends.
        if (slice->id != 0 && slice->running == 0) unwanted.push_back({slice->id, slice->len});
      }
    }
  }
  freed.clear();
  if (bytes > 0) pressure_.sub(bytes);
  remove_objects(std::move(unwanted));
}

void Writer::discard(const FilePtr& file) {
  Uploads none;
  std::vector<LogEntry> unwanted;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, none);
    for (size_t i = file->log.size(); i-- > file->in_commit;) {
      LogEntry& entry = file->log[i];
      if (entry.unclear || entry.is_change) continue;
      unwanted.push_back(std::move(entry));
      file->log.erase(file->log.begin() + static_cast<std::ptrdiff_t>(i));
    }
    file->changed.notify_all();
  }
  drop(file, unwanted);
  advance(file);
}

bool Writer::is_gone(const FilePtr& file) {
  const Result<bool> there = catalog_.exists(file->ino);
  return there && !*there;
}

}  // namespace cider::chunk
