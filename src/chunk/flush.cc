// Waiting for an inode's commit log: flush, fsync, and metadata changes that take their place in it.
#include <algorithm>

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
  TRY(flush(file, std::move(stop), flush_deadline()));
  UnsyncedSlices::Slices slices = unsynced_.take(file->ino);
  Status status = blocks_.sync(slices);
  if (!status) unsynced_.add(file->ino, std::move(slices));
  return status;
}

void Writer::flush_in_background(const FilePtr& file) {
  Uploads uploads;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, uploads);
  }
  send_off(file, std::move(uploads));
}

Status Writer::ordered(const FilePtr& file, std::stop_token stop, std::move_only_function<Status()> change) {
  Uploads uploads;
  uint64_t seq;
  {
    std::lock_guard lock(file->mutex);
    freeze_all(*file, uploads);
    LogEntry& entry = file->log.emplace_back();
    entry.seq = seq = ++file->last_seq;
    entry.is_change = true;
  }
  send_off(file, std::move(uploads));
  {
    std::unique_lock lock(file->mutex);
    FlushWaiter waiter{.target = seq - 1};
    Status status = wait_for_log(*file, lock, waiter, std::move(stop), flush_deadline());
    if (!status) {
      auto own = std::find_if(file->log.begin(), file->log.end(),
                              [&](const LogEntry& entry) { return entry.seq == seq; });
      file->log.erase(own);
      file->changed.notify_all();
      lock.unlock();
      advance(file);
      return status;
    }
  }
  Status status = change();
  {
    std::lock_guard lock(file->mutex);
    file->records.clear();
    file->records_version++;
    file->streams.clear();
    pop_entries(*file, 1);
  }
  advance(file);
  return status;
}

}  // namespace cider::chunk
