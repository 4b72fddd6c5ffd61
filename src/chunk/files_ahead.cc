#include "chunk/files_ahead.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/log.h"

namespace cider::chunk {

InodeRuns::Run& InodeRuns::at(Ino ino) {
  const auto near = [ino](const Run& run) { return ino + kNear >= run.last && ino <= run.last + kNear; };
  auto run = std::ranges::find_if(runs_, near);
  if (run == runs_.end() && runs_.size() < kMax) run = runs_.insert(run, Run{});
  if (run == runs_.end()) {
    run = std::ranges::min_element(runs_, {}, &Run::tick);
    *run = Run{};
  }
  run->tick = ++tick_;
  return *run;
}

std::optional<InodeRuns::Range> InodeRuns::on_read(Ino ino) {
  Run& run = at(ino);
  if (ino <= run.last) return std::nullopt;
  run.last = ino;
  if (++run.files < kFew || run.asked > ino + run.window / 2) return std::nullopt;
  const Range range{std::max(run.asked, ino + 1), ino + 1 + run.window};
  run.asked = range.end;
  run.window = std::min(run.window * 2, kLastWindow);
  return range;
}

void InodeRuns::cut(Range asked, Ino end) {
  const auto run = std::ranges::find(runs_, asked.end, &Run::asked);
  if (run == runs_.end()) return;
  run->asked = end;
  run->window = std::max(run->window / 2, kFirstWindow);
}

void FilesAhead::on_front(Ino ino, uint64_t length) {
  if (max_bytes_ == 0 || length > block_size_) return;
  std::optional<InodeRuns::Range> range;
  {
    std::lock_guard lock(mutex_);
    range = runs_.on_read(ino);
  }
  if (range) fetcher_.submit([this, range = *range] { fetch(range); });
}

// A file of more than a block, or of many records, is left to the read-ahead within a file.
bool FilesAhead::is_small(const std::vector<Slice>& records) const {
  constexpr size_t kFewRecords = 4;
  const auto fits = [&](const Slice& record) {
    return record.size <= block_size_ && uint64_t{record.pos} + record.len <= block_size_;
  };
  return records.size() <= kFewRecords && std::ranges::all_of(records, fits);
}

void FilesAhead::fetch(InodeRuns::Range range) {
  std::vector<Ino> inos(range.end - range.begin);
  std::iota(inos.begin(), inos.end(), range.begin);
  const auto files = catalog_.first_slices(inos);
  if (!files) return log::debug("files are not read ahead: " + files.error().to_string());
  std::vector<SliceRange> wanted;
  std::set<uint64_t> known;  // files share packs
  uint64_t bytes = 0;
  for (size_t i = 0; i < files->size(); ++i) {
    if (!is_small((*files)[i])) continue;
    for (const Slice& slice : (*files)[i]) {
      if (slice.id == 0 || !known.insert(slice.id).second) continue;
      wanted.push_back({slice.id, slice.size, 0, slice.size});
      bytes += slice.size;
    }
    if (bytes >= max_bytes_ && i + 1 < files->size()) {
      std::lock_guard lock(mutex_);
      runs_.cut(range, inos[i + 1]);
      break;
    }
  }
  fetcher_.prefetch(wanted);
}

}  // namespace cider::chunk
