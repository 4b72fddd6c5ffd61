// Making the members of a stored pack parts of their files.
#include <algorithm>

#include "chunk/unclear.h"
#include "chunk/writer.h"

namespace cider::chunk {
namespace {

constexpr Millis kPause{500};
// JuiceFS's gc takes an object that no record names for garbage after an hour: one that waits for its commit
// is made young again before.
constexpr auto kStoreAgain = std::chrono::minutes(30);

}  // namespace

// Takes the member's place at its log's head, so that nothing but this commit happens to it. False if it is
// not to be committed with the pack; what is wanted all the same is stored alone.
bool Writer::claim(const PendingPack::Member& member, const BlockStore::SliceRef& object, NewPack* commit) {
  const auto& [file, slice] = member.small;
  size_t freed_bytes = 0;
  bool alone = false;
  {
    BufferChain freed;
    std::lock_guard lock(file->mutex);
    const bool wanted = slice->fate == PendingSlice::Fate::wanted;
    const LogEntry* head = file->log.empty() ? nullptr : &file->log.front();
    const bool at_head = head && !head->is_change && !file->committing && head->slices.size() == 1 &&
                         head->slices.front() == slice;
    if (wanted && at_head) {
      file->committing = true;
      file->in_commit = 1;
      file->failed_in_row = 0;
      file->records_version++;
      commit->members.push_back({file->ino,
                                 head->index,
                                 {slice->pos, object.id, object.size, member.off, member.len},
                                 head->mtime});
      return true;
    }
    leave_pack(*slice);
    alone = wanted;
    if (slice->fate == PendingSlice::Fate::dropped) {
      freed.swap(slice->blocks.front().data);
      freed_bytes = member.len;
    }
  }
  if (freed_bytes > 0) pressure_.sub(freed_bytes);
  if (alone) submit_upload(file, {slice, 0}, Millis(0));
  return false;
}

// Before the records are written, as they may become durable at once.
void Writer::note_unsynced(const PendingPack& pack) {
  for (const PendingPack::Member& member : pack.members) {
    const Ino ino = member.small.file->ino;
    if (unsynced_.add(ino, {pack.object()})) (void)unsynced_.sync(ino, {});
  }
}

void Writer::commit_pack(const PackPtr& pack) {
  if (!pack->claimed) {
    std::erase_if(pack->members, [&](const PendingPack::Member& member) {
      return !claim(member, pack->object(), &pack->commit);
    });
    pack->claimed = true;
    if (pack->members.empty()) return remove_objects({pack->object()});
    note_unsynced(*pack);
  }
  if (Monotonic::now() - pack->stored_at > kStoreAgain) {
    if (Status stored = store_pack(*pack); !stored) return commit_again(pack, stored.error());
  }
  auto results = catalog_.commit_pack(pack->commit);
  if (!results && is_unclear(results.error().code)) {
    pack->unclear = true;
    return commit_again(pack, results.error());
  }
  if (!results) return refused_pack(*pack, results.error());
  commit_outage_.succeeded();
  pack->data.clear();
  bool any = false;
  for (size_t i = 0; i < pack->members.size(); ++i) {
    const Status& result = (*results)[i];
    any |= result.has_value();
    if (result) {
      member_committed(pack->members[i], pack->commit.members[i]);
    } else if (result.error().code == EOPNOTSUPP) {
      store_alone(pack->members[i]);
    } else {
      member_refused(pack->members[i], result.error());
    }
  }
  // A member whose answer is lost may have a record of it.
  if (!any && !pack->unclear) remove_objects({pack->object()});
  unsynced_.sync_overflow();
}

void Writer::commit_again(const PackPtr& pack, const Error& error) {
  commit_outage_.failed(error);
  for (const PendingPack::Member& member : pack->members) {
    FileState& file = *member.small.file;
    std::lock_guard lock(file.mutex);
    file.log.front().unclear = true;
    file.upload_error = error;
  }
  timer_.after(kPause, [this, pack] { submit(commits_, [this, pack] { commit_pack(pack); }); });
}

// The catalog takes no such pack, and has not taken this one. An id that turned out to be in use may be
// somebody else's object, which stays.
void Writer::refused_pack(PendingPack& pack, const Error& error) {
  if (error.code == EOPNOTSUPP) packing_.store(false, std::memory_order_relaxed);
  pack.data.clear();
  for (const PendingPack::Member& member : pack.members) store_alone(member);
  if (!pack.unclear && error.code != EEXIST) remove_objects({pack.object()});
}

void Writer::member_committed(const PendingPack::Member& member, const PackMember& record) {
  const auto& [file, slice] = member.small;
  std::vector<uint32_t> crowded;
  BufferChain done;
  size_t bytes = member.len;
  {
    std::lock_guard lock(file->mutex);
    leave_pack(*slice);
    slice->blocks.front().stored = true;
    done.swap(slice->blocks.front().data);
    note_records(*file, record.index, {&record.at, 1}, crowded);
    bytes += pop_entries(*file, 1);
    file->committing = false;
  }
  done.clear();
  pressure_.sub(bytes);
  for (uint32_t index : crowded) catalog_.suggest_compaction(file->ino, index);
  advance(file);
}

// Like an entry that the catalog refuses, whose data is given up; but its object is others' too.
void Writer::member_refused(const PendingPack::Member& member, const Error& error) {
  const auto& [file, slice] = member.small;
  BufferChain done;
  size_t bytes = member.len;
  {
    std::lock_guard lock(file->mutex);
    leave_pack(*slice);
    slice->blocks.front().stored = true;
    done.swap(slice->blocks.front().data);
    if (error.code != ENOENT) tell_lost(*file, file->log.front(), error);
    bytes += pop_entries(*file, 1);
    file->committing = false;
  }
  done.clear();
  pressure_.sub(bytes);
  if (error.code != ENOENT) log_lost(*file, error);
  advance(file);
}

void Writer::store_alone(const PendingPack::Member& member) {
  const auto& [file, slice] = member.small;
  {
    std::lock_guard lock(file->mutex);
    leave_pack(*slice);
    file->log.front().unclear = false;
    file->in_commit = 0;
    file->committing = false;
  }
  submit_upload(file, {slice, 0}, Millis(0));
}

}  // namespace cider::chunk
