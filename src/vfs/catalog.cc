#include "vfs/catalog.h"

#include <algorithm>
#include <string>

#include "base/log.h"

namespace cider::vfs {

MetaCatalog::MetaCatalog(meta::Meta& meta)
    : meta_(meta), compactor_([this](std::stop_token stop) { compact_queued(stop); }) {}

MetaCatalog::~MetaCatalog() {
  stop();
}

void MetaCatalog::stop() {
  compactor_.request_stop();
  if (compactor_.joinable()) compactor_.join();
}

Result<uint64_t> MetaCatalog::next_slice_id() {
  return meta_.next_slice_id();
}

Result<std::vector<Slice>> MetaCatalog::slices(Ino ino, uint32_t index, bool, std::stop_token stop) {
  return meta_.chunk(ino, index, stop);  // Meta keeps no slice lists: every answer is fresh
}

Result<std::vector<std::vector<Slice>>> MetaCatalog::first_slices(std::span<const Ino> inos) {
  return meta_.chunks(inos, 0);
}

Status MetaCatalog::commit(Ino ino, std::span<const chunk::NewSlice> slices, Time mtime) {
  std::vector<meta::ChunkSlice> records;
  records.reserve(slices.size());
  for (const chunk::NewSlice& slice : slices) {
    records.push_back({slice.index, slice.at});
  }
  const Result<meta::Written> written = meta_.write(ino, records, mtime);
  if (listener_) listener_({ino, written});
  if (!written) return fail(written.error());
  if (written->records >= kManyRecords) suggest_compaction(ino, written->longest_chunk);
  return {};
}

Result<std::vector<Status>> MetaCatalog::commit_pack(chunk::NewPack& pack) {
  meta::Pack asked;
  for (const chunk::PackMember& member : pack.members)
    asked.members.push_back({member.ino, member.index, member.at, member.mtime});
  asked.tried = std::move(pack.tried);
  const auto results = meta_.commit_pack(&asked);
  pack.tried = std::move(asked.tried);
  if (!results && listener_) {
    const Result<meta::Written> failed = fail(results.error());
    for (const chunk::PackMember& member : pack.members) listener_({member.ino, failed});
  }
  if (!results) return fail(results.error());
  std::vector<Status> out;
  for (size_t i = 0; i < results->size(); ++i) {
    const Result<meta::Written>& written = (*results)[i];
    const Ino ino = pack.members[i].ino;
    if (listener_) listener_({ino, written});
    if (written && written->records >= kManyRecords) suggest_compaction(ino, written->longest_chunk);
    out.push_back(written ? Status() : Status(fail(written.error())));
  }
  return out;
}

Result<bool> MetaCatalog::exists(Ino ino) {
  const Result<meta::Attr> attr = meta_.getattr(ino);
  if (attr) return true;
  if (attr.error().code == ENOENT) return false;
  return fail(attr.error());
}

void MetaCatalog::suggest_compaction(Ino ino, uint32_t index) {
  if (meta_.options().read_only) return;
  std::lock_guard lock(mutex_);
  if (queue_.size() >= kMaxQueue || !waiting_.insert({ino, index}).second) return;
  queue_.push_back({ino, index});
  queued_.notify_one();
}

void MetaCatalog::compact_queued(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (queued_.wait(lock, stop, [&] { return !queue_.empty(); })) {
    const ChunkId chunk = queue_.front();
    queue_.pop_front();
    lock.unlock();
    const Status status = meta_.compact(chunk.first, chunk.second, false);
    if (!status && status.error().code != ENOENT) {
      log::warning("compaction of inode " + std::to_string(chunk.first) + ", chunk " +
                   std::to_string(chunk.second) + ": " + status.error().to_string());
    }
    lock.lock();
    waiting_.erase(chunk);  // only now, so that commits during the compaction don't queue it again
    if (stop.stop_requested()) return;
  }
}

meta::DataCallbacks data_callbacks(chunk::DataPath& data, chunk::BlockStore& blocks) {
  return {
      .delete_slice = [&blocks](uint64_t id, uint32_t size) { return blocks.remove_slice(id, size); },
      .rewrite = [&data](std::span<const Slice> parts) { return data.rewrite(parts, {}); },
      .chunk_changed = [&data](Ino ino, uint32_t) { data.invalidate(ino); },
      .sync_with = [&data](const std::function<Status()>& sync) { return data.sync_metadata(sync); },
  };
}

}  // namespace cider::vfs
