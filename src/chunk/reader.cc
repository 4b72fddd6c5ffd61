#include "chunk/reader.h"

#include <algorithm>
#include <cstring>

#include "chunk/pending_view.h"

namespace cider::chunk {
namespace {

constexpr size_t kZeros = 128 << 10;
constexpr size_t kMostPieces = 256;     // more are copied into one: writev takes 1024
constexpr size_t kWorthCompacting = 5;  // records of a chunk that a read meets
constexpr uint64_t kLeastWindow = 256 << 10;
constexpr double kAheadShare = 0.75;  // of the budget
constexpr int kLoads = 3;

Buffer make_zeros() {
  Buffer zeros = Buffer::allocate(kZeros, nullptr);
  std::memset(zeros.mutable_data(), 0, kZeros);
  return zeros;
}

// What went wrong between here and a store is no answer to read(2): programs know EIO.
bool is_for_readers(int code) {
  return code == EINTR || code == ENOMEM || code == ESTALE || code == EIO;
}

}  // namespace

Reader::Reader(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, Fetcher& fetcher,
               const DataOptions& options)
    : blocks_(blocks),
      catalog_(catalog),
      budget_(budget),
      fetcher_(fetcher),
      options_(options),
      files_ahead_(catalog, fetcher, blocks.layout().block_size, options.max_readahead / 2),
      zeros_(make_zeros()) {}

Result<BufferChain> Reader::read(const FilePtr& file, uint64_t stream, uint64_t length, uint64_t off,
                                 uint32_t size, std::stop_token stop) {
  ReadStream::Ahead ahead;
  std::optional<SliceRange> alone;
  bool sequential;
  uint64_t end;
  {
    std::lock_guard lock(file->mutex);
    file->last_used = Monotonic::now();
    length = std::max(length, file->pending_end());
    if (off >= length || size == 0) return BufferChain();
    end = std::min(length, off + size);
    ReadStream& state = file->streams.at(stream, off, size);
    ahead = state.on_read(off, static_cast<uint32_t>(end - off), {window_limit(), options_.fetch_size});
    sequential = state.is_sequential();
    alone = in_one_slice(*file, off, end);
  }
  if (off == 0) files_ahead_.on_front(file->ino, length);
  for (uint32_t i = 0; i < ahead.count; i++) {
    const ReadStream::Range range = ahead.at(i);
    if (range.begin < std::min(range.end, length)) read_ahead(file, range.begin, std::min(range.end, length));
  }

  bool late = false;
  Result<BufferChain> chain;
  if (alone) {
    Status fetched = fetcher_.read({&*alone, 1}, sequential, *chain, late, stop);
    if (!fetched) chain = fail(std::move(fetched).error());
  } else {
    chain = read_range(file, off, end, false, sequential, late, stop);
  }
  // A block that is gone: the chunk was compacted or cut meanwhile, and its records name others now.
  if (code_of(chain) == ENOENT) chain = read_range(file, off, end, true, sequential, late, stop);
  if (!chain && !is_for_readers(chain.error().code)) {
    return fail(EIO, "inode " + std::to_string(file->ino) + ": " + chain.error().to_string());
  }
  if (late) {
    std::lock_guard lock(file->mutex);
    file->streams.at(stream, off, size).on_late();
  }
  return chain;
}

// What most reads meet: known records, nothing pending, all of [off, end) in one slice. With the file locked.
std::optional<SliceRange> Reader::in_one_slice(const FileState& file, uint64_t off, uint64_t end) {
  const auto records = file.records.find(static_cast<uint32_t>(off / kChunkSize));
  if (file.has_pending() || records == file.records.end() || !records->second.overlay) return {};
  const uint64_t base = off - off % kChunkSize;
  if (end - base > kChunkSize) return {};
  const auto from = static_cast<uint32_t>(off - base);
  const auto to = static_cast<uint32_t>(end - base);
  const auto* range = records->second.overlay->map().covering(from, to);
  if (!range || range->second.value.id == 0) return {};
  const SliceBytes slice = range->second.value.part(from - range->first, to - from);
  return SliceRange{slice.id, slice.size, slice.off, to - from};
}

Result<BufferChain> Reader::read_range(const FilePtr& file, uint64_t off, uint64_t end, bool fresh,
                                       bool sequential, bool& late, std::stop_token stop) {
  std::vector<Extent> extents;
  while (off < end) {
    auto index = static_cast<uint32_t>(off / kChunkSize);
    auto from = static_cast<uint32_t>(off % kChunkSize);
    auto to = static_cast<uint32_t>(std::min<uint64_t>(kChunkSize, from + (end - off)));
    auto part = TRY(visible(file, index, from, to, fresh, stop));
    extents.insert(extents.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    off += to - from;
  }
  // All that is in the store comes in one go, so that memory is asked for once.
  std::vector<SliceRange> wanted;
  for (const Extent& extent : extents) {
    const SliceBytes& slice = extent.source.slice;
    if (slice.id != 0) wanted.push_back({slice.id, slice.size, slice.off, extent.len});
  }
  BufferChain fetched;
  if (!wanted.empty()) TRY(fetcher_.read(wanted, sequential, fetched, late, std::move(stop)));
  if (wanted.size() == extents.size()) return merged(std::move(fetched));

  BufferChain out;
  auto next = fetched.begin();
  for (Extent& extent : extents) {
    if (extent.source.slice.id != 0) {
      for (uint32_t got = 0; got < extent.len; ++next) {
        got += static_cast<uint32_t>(next->size());
        out.push_back(std::move(*next));
      }
    } else if (extent.source.data.empty()) {
      add_zeros(extent.len, out);
    } else {
      out.push_back(std::move(extent.source.data));
    }
  }
  return merged(std::move(out));
}

// What [begin, end) of a chunk shows now: committed records with pending writes over them. A write that is
// committed in between shows up in one of the two, or in both.
Result<std::vector<Extent>> Reader::visible(const FilePtr& file, uint32_t index, uint32_t begin, uint32_t end,
                                            bool fresh, const std::stop_token& stop) {
  IntervalMap<Source> view;
  auto paint_records = [&](const Overlay& overlay) {
    overlay.map().each(begin, end, [&](uint32_t from, uint32_t to, const SliceBytes& slice) {
      view.paint(from, to, Source{slice, {}});
    });
  };
  for (int load = 0;; load++) {
    IntervalMap<Source> pending;
    uint64_t version;
    {
      std::lock_guard lock(file->mutex);
      ChunkRecords& records = file->records[index];
      if (fresh && load == 0) records.overlay.reset();
      if (records.overlay) {
        paint_records(*records.overlay);
        paint_pending(*file, index, blocks_.layout().block_size, begin, end, view);
        break;
      }
      version = file->records_version;
      paint_pending(*file, index, blocks_.layout().block_size, begin, end, pending);
    }
    auto list = TRY(catalog_.slices(file->ino, index, fresh, stop));
    Overlay overlay(list);
    bool unchanged;
    bool compact;
    {
      std::lock_guard lock(file->mutex);
      unchanged = version == file->records_version && file->in_commit == 0;
      std::optional<Overlay>& known = file->records[index].overlay;
      compact = list.size() >= kWorthCompacting && !file->has_pending() && !known;
      if (unchanged) known = overlay;
    }
    if (unchanged && compact) catalog_.suggest_compaction(file->ino, index);
    if (!unchanged && load < kLoads) continue;
    paint_records(overlay);
    pending.each(begin, end,
                 [&](uint32_t from, uint32_t to, Source source) { view.paint(from, to, std::move(source)); });
    break;
  }

  std::vector<Extent> extents;
  uint32_t at = begin;
  view.each(begin, end, [&](uint32_t from, uint32_t to, Source source) {
    if (from > at) extents.push_back({at, from - at, {}});
    extents.push_back({from, to - from, std::move(source)});
    at = to;
  });
  if (at < end) extents.push_back({at, end - at, {}});
  return extents;
}

// How far a stream may read ahead: a part of what is free now, so that windows shrink as streams become many.
uint64_t Reader::window_limit() const {
  auto all = static_cast<uint64_t>(kAheadShare * static_cast<double>(budget_.limit()));
  uint64_t free = all - std::min<uint64_t>(all, budget_.used());
  uint64_t limit = std::min(options_.max_readahead, free / 4);
  return limit < kLeastWindow ? 0 : limit;
}

void Reader::read_ahead(const FilePtr& file, uint64_t begin, uint64_t end) {
  bool known;
  {
    std::lock_guard lock(file->mutex);
    auto has_records = [&](uint64_t at) {
      auto it = file->records.find(static_cast<uint32_t>(at / kChunkSize));
      return it != file->records.end() && it->second.overlay;
    };
    known = has_records(begin) && has_records(end - 1);
  }
  if (known) {
    prefetch(file, begin, end);
  } else {
    // The catalog must be asked; the reader need not wait for that.
    fetcher_.submit([this, file, begin, end] { prefetch(file, begin, end); });
  }
}

void Reader::prefetch(const FilePtr& file, uint64_t begin, uint64_t end) {
  std::vector<SliceRange> ranges;
  while (begin < end) {
    auto index = static_cast<uint32_t>(begin / kChunkSize);
    auto from = static_cast<uint32_t>(begin % kChunkSize);
    auto to = static_cast<uint32_t>(std::min<uint64_t>(kChunkSize, from + (end - begin)));
    auto extents = visible(file, index, from, to, false, {});
    if (!extents) return;  // the reader will meet the error itself
    for (const Extent& extent : *extents) {
      const SliceBytes& slice = extent.source.slice;
      if (slice.id != 0) ranges.push_back({slice.id, slice.size, slice.off, extent.len});
    }
    begin += to - from;
  }
  fetcher_.prefetch(ranges);
}

void Reader::add_zeros(uint32_t len, BufferChain& out) {
  while (len > 0) {
    auto part = std::min<uint32_t>(len, kZeros);
    out.push_back(zeros_.slice(0, part));
    len -= part;
  }
}

BufferChain Reader::merged(BufferChain chain) {
  if (chain.size() <= kMostPieces) return chain;
  Buffer all = Buffer::allocate(total_size(chain), &budget_);
  size_t at = 0;
  for (const Buffer& piece : chain) {
    std::memcpy(all.mutable_data() + at, piece.data(), piece.size());
    at += piece.size();
  }
  return {std::move(all)};
}

}  // namespace cider::chunk
