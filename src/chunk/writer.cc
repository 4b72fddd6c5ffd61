// Accepting writes, and deciding when what was gathered goes off.
#include "chunk/writer.h"

#include <algorithm>

namespace cider::chunk {
namespace {

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr int kMostCommits = 16;
// What a slice takes in memory beside its data, about. Of many tiny writes it is the larger part.
constexpr size_t kSliceUpkeep = 1024;
constexpr uint64_t kMaxFileSize = uint64_t{1} << 57;  // chunk numbers have 32 bits, with room to spare

}  // namespace

Writer::Writer(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, WritePressure& pressure,
               Timer& timer, const DataOptions& options)
    : blocks_(blocks),
      catalog_(catalog),
      budget_(budget),
      pressure_(pressure),
      timer_(timer),
      options_(options),
      pack_limits_(
          pack_limits(options.packing, blocks.layout().block_size, options.pack_size, options.pack_members)),
      packing_(pack_limits_.member > 0),
      lane_({pack_limits_.pack, pack_limits_.members}),
      unsynced_([&blocks](std::span<const BlockStore::SliceRef> slices) { return blocks.sync(slices); }),
      uploads_("cider-upload", options.max_uploads),
      commits_("cider-commit", kMostCommits) {}

Status Writer::write(const FilePtr& file, uint64_t off, Buffer data, Time now) {
  if (data.empty()) return {};
  const size_t size = data.size();
  if (off > kMaxFileSize || size > kMaxFileSize - off) return fail(EFBIG);
  // A store that is full takes nothing; telling the writer is better than holding its data for ever.
  if (int code = full_store_.load(); code != 0 && pressure_.is_high())
    return fail(code, "the object store takes no more data");

  pressure_.add(size);
  size_t replaced = 0;
  bool frozen = false;
  Uploads uploads;
  {
    std::lock_guard lock(file->mutex);
    auto at = Monotonic::now();
    file->last_used = at;
    file->mtime = now;
    for (size_t done = 0; done < size;) {
      if (file->open.empty()) note_open(file);
      auto index = static_cast<uint32_t>((off + done) / kChunkSize);
      auto pos = static_cast<uint32_t>((off + done) % kChunkSize);
      size_t len = std::min<size_t>(size - done, kChunkSize - pos);
      auto [it, fresh] = file->open.try_emplace(index, blocks_.layout().block_size, &budget_, at);
      replaced += it->second.write(pos, data.slice(done, len), at, uploads);
      if (it->second.is_complete()) {
        freeze_up_to(*file, index, uploads);
        frozen = true;
      }
      done += len;
    }
  }
  data = {};
  if (replaced > 0) pressure_.sub(replaced);
  submit_uploads(file, std::move(uploads));
  if (frozen) advance(file);
  if (pressure_.is_high() && !relieving_.exchange(true)) timer_.after(Millis(5), [this] { relieve(); });
  return {};
}

// Moves the open chunks up to `index` to the log. Those below go too: a commit makes the file longer, and
// nothing below its end may then be missing.
void Writer::freeze_up_to(FileState& file, uint32_t index, Uploads& uploads) {
  while (!file.open.empty() && file.open.begin()->first <= index) {
    auto node = file.open.extract(file.open.begin());
    LogEntry& entry = file.log.emplace_back();
    entry.seq = ++file.last_seq;
    entry.index = node.key();
    entry.slices = node.mapped().freeze(uploads);
    mark_small(entry, uploads);
    entry.mtime = file.mtime;
    entry.upkeep = entry.slices.size() * kSliceUpkeep;
    pressure_.add(entry.upkeep);
  }
  if (file.open.empty()) {
    std::lock_guard lock(dirty_mutex_);
    dirty_.erase(file.ino);
  }
}

void Writer::freeze_all(FileState& file, Uploads& uploads) {
  freeze_up_to(file, UINT32_MAX, uploads);
}

// What was frozen may have been stored already, so the log is looked at too.
void Writer::send_off(const FilePtr& file, Uploads uploads) {
  submit_uploads(file, std::move(uploads));
  advance(file);
}

void Writer::note_open(const FilePtr& file) {
  std::lock_guard lock(dirty_mutex_);
  dirty_[file->ino] = file;
  keep_ticking();
}

void Writer::keep_ticking() {
  if (ticking_) return;
  ticking_ = true;
  timer_.after(kTick, [this] { tick(); });
}

// The pool's threads may all be stuck in slow requests, with nothing else to come: the tick then adds more.
void Writer::submit(WorkerPool& pool, WorkerPool::Job job) {
  pool.submit(std::move(job));
  std::lock_guard lock(dirty_mutex_);
  keep_ticking();
}

std::vector<FilePtr> Writer::files_with_open_data() {
  std::lock_guard lock(dirty_mutex_);
  std::vector<FilePtr> files;
  files.reserve(dirty_.size());
  for (auto& [ino, file] : dirty_) files.push_back(file);
  return files;
}

void Writer::tick() {
  auto now = Monotonic::now();
  for (const FilePtr& file : files_with_open_data()) {
    Uploads uploads;
    {
      std::lock_guard lock(file->mutex);
      for (auto it = file->open.rbegin(); it != file->open.rend(); ++it) {
        const OpenChunk& chunk = it->second;
        if (now - chunk.first_write() < options_.longest_open &&
            now - chunk.last_write() < options_.longest_idle)
          continue;
        freeze_up_to(*file, it->first, uploads);
        break;
      }
    }
    send_off(file, std::move(uploads));
  }
  std::lock_guard lock(dirty_mutex_);
  const bool uploads_wait = uploads_.poke();
  const bool commits_wait = commits_.poke();
  ticking_ = false;
  if (uploads_wait || commits_wait || !dirty_.empty()) keep_ticking();
}

// Under pressure: freezes what holds the most memory, until most of the dirty data is on its way to the
// store.
void Writer::relieve() {
  struct Candidate {
    FilePtr file;
    uint32_t index;
    uint32_t bytes;
    Monotonic::time_point since;
  };
  std::vector<Candidate> candidates;
  size_t open = 0;
  for (const FilePtr& file : files_with_open_data()) {
    std::lock_guard lock(file->mutex);
    for (const auto& [index, chunk] : file->open) {
      candidates.push_back({file, index, chunk.open_bytes(), chunk.first_write()});
      open += chunk.open_bytes();
    }
  }
  // Largest first, to a factor of two; the older of two alike.
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    int size_a = std::bit_width(a.bytes);
    int size_b = std::bit_width(b.bytes);
    return size_a != size_b ? size_a > size_b : a.since < b.since;
  });
  const size_t goal = pressure_.dirty() / 4;
  for (const Candidate& candidate : candidates) {
    if (open <= goal || !pressure_.is_high()) break;
    Uploads uploads;
    {
      std::lock_guard lock(candidate.file->mutex);
      freeze_up_to(*candidate.file, candidate.index, uploads);
    }
    send_off(candidate.file, std::move(uploads));
    open -= std::min<size_t>(open, candidate.bytes);
  }
  relieving_.store(false);
}

void Writer::stop() {
  stop_.request_stop();
  uploads_.stop();
  commits_.stop();
}

}  // namespace cider::chunk
