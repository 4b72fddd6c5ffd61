// Gathering small slices, and storing them together.
#include <algorithm>
#include <optional>

#include "chunk/put_in_lane.h"
#include "chunk/writer.h"

namespace cider::chunk {
namespace {

// Whether nothing stands before it in its file's log: the entry will be there until it is committed.
bool is_head(const FileState& file, const std::shared_ptr<PendingSlice>& slice) {
  if (file.committing || file.log.empty()) return false;
  const LogEntry& head = file.log.front();
  return !head.is_change && head.slices.size() == 1 && head.slices.front() == slice;
}

}  // namespace

// Marks the slice of an entry that may share an object; it is the latest of `uploads`.
void Writer::mark_small(const LogEntry& entry, Uploads& uploads) const {
  if (!packing_.load(std::memory_order_relaxed) || entry.slices.size() != 1 || uploads.empty()) return;
  const auto& slice = entry.slices.front();
  const bool whole = uploads.back().slice == slice && slice->blocks.size() == 1;
  if (whole && slice->len <= pack_limits_.member) uploads.back().small = slice->len;
}

void Writer::wait_in_lane(const FilePtr& file, const BlockUpload& upload) {
  std::lock_guard lock(lane_mutex_);
  lane_.add({file, upload.slice}, upload.small, Monotonic::now());
}

// Sends off what the lane lets go.
void Writer::run_lane() {
  while (true) {
    std::vector<SmallSlice> next;
    {
      std::lock_guard lock(lane_mutex_);
      const auto now = Monotonic::now();
      next = lane_.take(now);
      if (next.empty()) {
        const auto look = lane_.next_look();
        if (!look || lane_timer_set_) return;
        lane_timer_set_ = true;
        timer_.after(*look - now, [this] {
          {
            std::lock_guard again(lane_mutex_);
            lane_timer_set_ = false;
          }
          run_lane();
        });
        return;
      }
    }
    send_together(std::move(next));
  }
}

// Whether the slice can be a member now. If so it is marked as being stored. `*alone`: it is to be stored,
// but not in a pack.
bool Writer::join_pack(const SmallSlice& small, bool* alone) {
  std::lock_guard lock(small.file->mutex);
  const bool head = is_head(*small.file, small.slice);
  *alone = !head;
  return head && begin_upload({small.slice, 0});
}

// With the file locked: the member is not being stored any more.
void Writer::leave_pack(PendingSlice& slice) {
  slice.blocks.front().running = false;
  slice.running--;
}

void Writer::send_together(std::vector<SmallSlice> slices) {
  auto put = std::make_shared<LanePut>(*this);
  auto pack = std::make_shared<PendingPack>();
  for (SmallSlice& small : slices) {
    bool alone = false;
    if (join_pack(small, &alone)) {
      pack->members.push_back({std::move(small), 0, 0});
    } else if (alone) {
      submit_upload(small.file, {small.slice, 0}, Millis(0));
    }
  }
  if (pack->members.size() == 1) {
    const SmallSlice& only = pack->members.front().small;
    {
      std::lock_guard lock(only.file->mutex);
      leave_pack(*only.slice);
    }
    submit(uploads_, [this, only, put = std::move(put)] {
      put->begin();
      upload(only.file, {only.slice, 0}, Millis(0), put.get());
    });
    return;
  }
  for (PendingPack::Member& member : pack->members) {
    std::lock_guard lock(member.small.file->mutex);
    const PendingSlice::Block& block = member.small.slice->blocks.front();
    member.off = pack->size;
    member.len = block.bytes;
    pack->size += block.bytes;
    pack->data.insert(pack->data.end(), block.data.begin(), block.data.end());
  }
  if (pack->members.empty()) return;
  submit(uploads_, [this, pack, put = std::move(put)] {
    put->begin();
    put_pack(pack, Millis(0), put.get());
  });
}

Status Writer::store_pack(PendingPack& pack) {
  if (pack.id == 0) pack.id = TRY(catalog_.next_slice_id());
  TRY(blocks_.write_block(pack.id, 0, pack.data, stop_.get_token()));
  pack.stored_at = Monotonic::now();
  return {};
}

void Writer::put_pack(const PackPtr& pack, Millis pause_after_failure, LanePut* put) {
  let_go_dropped(*pack);
  if (pack->members.empty()) {
    if (pack->id != 0) remove_objects({pack->object()});
    return;
  }
  const Status status = store_pack(*pack);
  if (put) put->end();
  if (!status) {
    if (!stop_.stop_requested()) put_again(pack, status.error(), pause_after_failure);
    return;
  }
  note_store_takes_data();
  commit_pack(pack);
}

// Members that nobody wants any more: their bytes stay in the pack, and are not counted.
void Writer::let_go_dropped(PendingPack& pack) {
  size_t bytes = 0;
  std::erase_if(pack.members, [&](const PendingPack::Member& member) {
    BufferChain freed;
    std::lock_guard lock(member.small.file->mutex);
    PendingSlice& slice = *member.small.slice;
    if (slice.fate != PendingSlice::Fate::dropped) return false;
    leave_pack(slice);
    freed.swap(slice.blocks.front().data);
    bytes += member.len;
    return true;
  });
  if (bytes > 0) pressure_.sub(bytes);
}

// The same bytes under the same name, until the store takes them or nobody wants them.
void Writer::put_again(const PackPtr& pack, const Error& error, Millis pause) {
  upload_outage_.failed(error);
  pause = next_pause(pause);
  for (const PendingPack::Member& member : pack->members) {
    note_failed_upload(member.small.file, error);
    if (is_time_to_ask(*member.small.file, pause) && is_gone(member.small.file)) discard(member.small.file);
  }
  timer_.after(pause, [this, pack, pause] {
    submit(uploads_, [this, pack, pause] { put_pack(pack, pause, nullptr); });
  });
}

}  // namespace cider::chunk
