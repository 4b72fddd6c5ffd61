// Working off the commit logs: slices whose blocks are stored leave in order, as many as are ready in one
// transaction.
#include <algorithm>

#include "base/log.h"
#include "chunk/unclear.h"
#include "chunk/writer.h"

namespace cider::chunk {
namespace {

constexpr size_t kMostSlices = 500;  // in one transaction: an engine may serve nobody else meanwhile
constexpr Millis kPause{500};
constexpr size_t kCrowded = 100;  // records of a chunk

}  // namespace

// Goes on with the log of `file` after something has become ready.
void Writer::advance(const FilePtr& file) {
  std::lock_guard lock(file->mutex);
  if (start_commit(*file)) submit(commits_, [this, file] { commit(file); });
}

// With the file locked: true if the caller must run commit().
bool Writer::start_commit(FileState& file) {
  if (file.committing || file.log.empty()) return false;
  const LogEntry& head = file.log.front();
  file.committing = !head.is_change && head.ready();
  return file.committing;
}

size_t Writer::batch_size(const FileState& file) const {
  if (file.repeat > 0) return file.repeat;
  size_t entries = 0;
  size_t slices = 0;
  for (const LogEntry& entry : file.log) {
    slices += entry.slices.size();
    if (entry.is_change || !entry.ready() || (entries > 0 && (slices > kMostSlices || file.one_by_one)))
      break;
    entries++;
  }
  return entries;
}

void Writer::commit(const FilePtr& file) {
  while (true) {
    std::vector<NewSlice> slices;
    UnsyncedSlices::Slices stored;
    size_t batch;
    Time mtime;
    {
      std::lock_guard lock(file->mutex);
      batch = batch_size(*file);
      if (batch == 0) {
        file->committing = false;
        file->one_by_one = false;
        if (!start_commit(*file)) return;
        continue;
      }
      for (size_t i = 0; i < batch; i++) {
        const LogEntry& entry = file->log[i];
        for (const auto& slice : entry.slices) {
          slices.push_back({entry.index, slice->record()});
          if (file->repeat == 0) stored.push_back({slice->id, slice->len});
        }
        mtime = std::max(mtime, entry.mtime);
      }
      file->in_commit = batch;
      file->records_version++;
    }
    // Before the record is written, as it may become durable at once.
    if (unsynced_.add(file->ino, std::move(stored))) (void)unsynced_.sync(file->ino, {});
    Status status = catalog_.commit(file->ino, slices, mtime);
    if (status) {
      commit_outage_.succeeded();
      commit_succeeded(file, batch);
    } else if (!is_unclear(status.error().code)) {
      commit_failed(file, batch, status.error());
    } else {
      commit_outage_.failed(status.error());
      std::lock_guard lock(file->mutex);
      file->repeat = batch;
      for (size_t i = 0; i < batch; i++) file->log[i].unclear = true;
      file->upload_error = status.error();
      timer_.after(kPause, [this, file] { submit(commits_, [this, file] { commit(file); }); });
      return;
    }
  }
}

void Writer::commit_succeeded(const FilePtr& file, size_t batch) {
  std::vector<uint32_t> crowded;
  size_t upkeep;
  {
    std::lock_guard lock(file->mutex);
    for (size_t i = 0; i < batch; i++) {
      const LogEntry& entry = file->log[i];
      std::vector<Slice> records;
      for (const auto& slice : entry.slices) records.push_back(slice->record());
      note_records(*file, entry.index, records, crowded);
    }
    upkeep = pop_entries(*file, batch);
  }
  pressure_.sub(upkeep);
  for (uint32_t index : crowded) catalog_.suggest_compaction(file->ino, index);
  unsynced_.sync_overflow();
}

// Puts committed slices into the cached records of their chunk.
void Writer::note_records(FileState& file, uint32_t index, std::span<const Slice> committed,
                          std::vector<uint32_t>& crowded) {
  file.records_version++;
  ChunkRecords& records = file.records[index];
  size_t before = records.overlay ? records.overlay->records() : records.appended;
  for (const Slice& slice : committed) {
    if (records.overlay) {
      records.overlay->add(slice);
    } else {
      records.appended++;
    }
  }
  size_t after = records.overlay ? records.overlay->records() : records.appended;
  if (before / kCrowded != after / kCrowded) crowded.push_back(index);
}

// The catalog refused the slices for good. Their data is given up.
void Writer::commit_failed(const FilePtr& file, size_t batch, const Error& error) {
  std::vector<BlockStore::SliceRef> unwanted;
  size_t upkeep;
  {
    std::lock_guard lock(file->mutex);
    if (batch > 1 && error.code != ENOENT && file->repeat == 0) {
      file->one_by_one = true;  // the first ones may still fit
      return;
    }
    for (size_t i = 0; i < batch; i++) {
      const LogEntry& entry = file->log[i];
      if (!entry.unclear) {
        for (const auto& slice : entry.slices) unwanted.push_back({slice->id, slice->len});
      }
      if (error.code == ENOENT) continue;  // the file is gone, nobody wants to know
      tell_lost(*file, entry, error);
    }
    upkeep = pop_entries(*file, batch);
  }
  pressure_.sub(upkeep);
  if (error.code != ENOENT) log_lost(*file, error);
  remove_objects(std::move(unwanted));
}

// With the file locked: to those who wait for the entry, or else to the next flush.
void Writer::tell_lost(FileState& file, const LogEntry& entry, const Error& error) {
  bool told = false;
  for (FlushWaiter* waiter : file.waiters) {
    if (waiter->target < entry.seq) continue;
    if (!waiter->error) waiter->error = error;
    told = true;
  }
  if (!told && !file.untold_error) file.untold_error = error;
}

void Writer::log_lost(const FileState& file, const Error& error) {
  log::error("inode " + std::to_string(file.ino) + ": written data is lost: " + error.to_string());
}

// Answers the upkeep of the entries, to be given back without the lock.
size_t Writer::pop_entries(FileState& file, size_t count) {
  size_t upkeep = 0;
  for (size_t i = 0; i < count; i++) upkeep += file.log[i].upkeep;
  file.log.erase(file.log.begin(), file.log.begin() + static_cast<std::ptrdiff_t>(count));
  file.repeat = 0;
  file.in_commit = 0;
  file.last_used = Monotonic::now();
  file.changed.notify_all();
  return upkeep;
}

void Writer::remove_objects(std::vector<BlockStore::SliceRef> slices) {
  if (slices.empty()) return;
  submit(commits_, [this, slices = std::move(slices)] {
    for (auto [id, size] : slices) {
      if (Status status = blocks_.remove_slice(id, size); !status) {
        log::warning("slice " + std::to_string(id) +
                     " is left over in the store: " + status.error().to_string());
      }
    }
  });
}

}  // namespace cider::chunk
