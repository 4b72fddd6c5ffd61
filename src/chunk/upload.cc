// Storing blocks: as soon as they are full or frozen, again and again until the store takes them.
#include <algorithm>

#include "chunk/put_in_lane.h"
#include "chunk/writer.h"

namespace cider::chunk {
namespace {

constexpr Millis kFirstPause{100};
constexpr Millis kLongestPause{5000};
constexpr int kFailuresToReport = 3;
constexpr Millis kAskIfGone{1000};

// The store answers, but does not take data: trying again helps only after somebody has made room.
bool refuses_data(int code) {
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EACCES || code == EPERM;
}

}  // namespace

void Writer::submit_uploads(const FilePtr& file, Uploads uploads) {
  bool any_small = false;
  for (BlockUpload& block : uploads) {
    if (block.small > 0) {
      wait_in_lane(file, block);
      any_small = true;
    } else {
      submit_upload(file, std::move(block), Millis(0));
    }
  }
  if (any_small) run_lane();
}

void Writer::submit_upload(const FilePtr& file, BlockUpload block, Millis pause_after_failure) {
  submit(uploads_, [this, file, block = std::move(block), pause_after_failure] {
    upload(file, block, pause_after_failure);
  });
}

void Writer::upload(const FilePtr& file, const BlockUpload& block, Millis pause_after_failure, LanePut* put) {
  {
    std::lock_guard lock(file->mutex);
    if (!begin_upload(block)) return;
  }
  Status status = store_block(file, block);
  if (put) put->end();
  PendingSlice& slice = *block.slice;
  BufferChain done;  // given back before writers are told
  uint32_t bytes;
  bool slice_stored = false;
  bool dropped;
  std::vector<BlockStore::SliceRef> unwanted;
  {
    std::lock_guard lock(file->mutex);
    PendingSlice::Block& stored = slice.blocks[block.index];
    stored.running = false;
    slice.running--;
    bytes = stored.bytes;
    dropped = slice.fate == PendingSlice::Fate::dropped;
    if (status || dropped) done.swap(stored.data);
    if (dropped && slice.running == 0 && slice.id != 0) unwanted.push_back({slice.id, slice.len});
    if (status) {
      stored.stored = true;
      slice_stored = --slice.unstored == 0;
      file->failed_in_row = 0;
    }
  }
  done.clear();
  remove_objects(std::move(unwanted));
  if (!status && !dropped) {
    if (!stop_.stop_requested()) try_again(file, block, status.error(), pause_after_failure);
    return;
  }
  if (status) note_store_takes_data();
  pressure_.sub(bytes);
  if (!slice_stored) return;
  // Committing here saves a change of threads, which a small file would feel.
  bool commit_now;
  {
    std::lock_guard lock(file->mutex);
    commit_now = start_commit(*file);
  }
  if (commit_now) commit(file);
}

// False if the block is not to be stored (any more), or is being stored already: it may have been submitted
// twice.
bool Writer::begin_upload(const BlockUpload& block) {
  PendingSlice& slice = *block.slice;
  if (slice.fate != PendingSlice::Fate::wanted || block.index >= slice.blocks.size()) return false;
  PendingSlice::Block& data = slice.blocks[block.index];
  if (data.stored || data.running) return false;
  data.begun = data.running = true;
  slice.running++;
  return true;
}

// A file that nobody can open any more will not be waited for, however long the store takes nothing.
void Writer::try_again(const FilePtr& file, const BlockUpload& block, const Error& error, Millis pause) {
  upload_outage_.failed(error);
  note_failed_upload(file, error);
  pause = next_pause(pause);
  if (is_time_to_ask(*file, pause) && is_gone(file)) return discard(file);
  timer_.after(pause, [this, file, block, pause] { submit_upload(file, block, pause); });
}

Millis Writer::next_pause(Millis pause) {
  return std::clamp(pause * 2, kFirstPause, kLongestPause);
}

bool Writer::is_time_to_ask(FileState& file, Millis pause) {
  std::lock_guard lock(file.mutex);
  const auto now = Monotonic::now();
  if (pause < kAskIfGone || now - file.asked_if_gone < kAskIfGone) return false;
  file.asked_if_gone = now;
  return true;
}

void Writer::note_store_takes_data() {
  upload_outage_.succeeded();
  if (full_store_.load() == 0) return;
  full_store_.store(0);
  pressure_.set_open(false);
}

Status Writer::store_block(const FilePtr& file, const BlockUpload& block) {
  PendingSlice& slice = *block.slice;
  uint64_t id;
  BufferChain data;
  {
    std::lock_guard lock(file->mutex);
    id = slice.id;
    data = slice.blocks[block.index].data;
  }
  if (id == 0) {
    uint64_t fresh = TRY(catalog_.next_slice_id());
    std::lock_guard lock(file->mutex);
    if (slice.id == 0) slice.id = fresh;  // else another block of it was faster, and this number is lost
    id = slice.id;
  }
  return blocks_.write_block(id, block.index, data, stop_.get_token());
}

void Writer::note_failed_upload(const FilePtr& file, const Error& error) {
  bool report;
  {
    std::lock_guard lock(file->mutex);
    file->failed_uploads++;
    file->upload_error = error;
    report = ++file->failed_in_row >= kFailuresToReport && refuses_data(error.code);
    file->changed.notify_all();
  }
  if (report) {
    full_store_.store(error.code);
    pressure_.set_open(true);  // what waits has been accepted; the next write gets the error
  }
}

}  // namespace cider::chunk
