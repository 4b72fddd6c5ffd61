#include "chunk/journal_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file_io.h"
#include "chunk/cache/file_io.h"

namespace cider::chunk {
namespace {

iovec piece_of(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

Status JournalFile::make(const std::stop_token& stop) {
  const std::string temporary = path_ + ".tmp";
  file_ = UniqueFd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) return fail_errno(temporary);
  Status filled = fill(stop);
  if (filled && ::rename(temporary.c_str(), path_.c_str()) == 0) {
    // What an earlier journal has left on the same blocks of the disk is of other generations.
    generation_ = static_cast<uint64_t>(to_nanos(Clock::system().now()));
    // Past the page cache, where the file system can do that: records are whole pages, in whole pages of
    // memory.
    UniqueFd direct(::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    if (direct) file_ = std::move(direct);
    return {};
  }
  if (filled) filled = fail_errno("rename");
  ::unlink(temporary.c_str());
  file_.close();
  return filled;
}

// Space that is only reserved would cost a change of metadata at each flush.
Status JournalFile::fill(const std::stop_token& stop) {
  const std::vector<std::byte> zeros(std::min<size_t>(options_.segment, 1 << 20));
  const uint64_t size = options_.segment * options_.segments;
  (void)::fallocate(file_.get(), 0, 0, static_cast<off_t>(size));  // in one piece, where that can be
  for (uint64_t at = 0; at < size; at += zeros.size()) {
    if (stop.stop_requested()) return fail(EINTR);
    TRY(write_all(file_.get(), std::span(zeros).first(std::min<uint64_t>(zeros.size(), size - at))));
  }
  if (::fsync(file_.get()) != 0) return fail_errno("fsync");
  return {};
}

Result<bool> JournalFile::add(JournalRecord& record, const BlockName* block) {
  const std::span<const std::byte> pages = record.pages();
  const bool fits = current_ && end_ + pages.size() <= options_.segment;
  if (!fits && !TRY(next_segment(pages.size()))) return false;
  Segment& segment = segments_[*current_];
  record.seal(segment.generation);
  added_.push_back(piece_of(pages));
  end_ += pages.size();
  if (block) {
    std::lock_guard lock(mutex_);
    segment.blocks.push_back(*block);
  }
  return true;
}

Result<bool> JournalFile::next_segment(size_t size) {
  if (kJournalPage + size > options_.segment) return false;
  TRY(write());
  std::lock_guard lock(mutex_);
  const size_t next = current_ ? (*current_ + 1) % segments_.size() : 0;
  if (segments_[next].state != State::free) return false;
  if (current_) segments_[*current_].state = State::full;
  current_ = next;
  segments_[next] = {State::current, generation_++, {}};
  head_ = journal_head(segments_[next].generation);
  added_.push_back(piece_of(head_.bytes()));
  written_ = 0;
  end_ = head_.size();
  return true;
}

Status JournalFile::write() {
  if (added_.empty()) return {};
  Status done = pwritev_all(file_.get(), added_, *current_ * options_.segment + written_);
  added_.clear();
  written_ = end_;
  return done;
}

Status JournalFile::flush(bool sync) {
  TRY(write());
  if (!sync) return {};
  if (::fdatasync(file_.get()) != 0) return fail_errno("fdatasync");
  if (!is_in_place()) return fail(ENOENT, "somebody has removed it");
  return {};
}

bool JournalFile::is_in_place() const {
  struct stat named{};
  struct stat open{};
  return ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &open) == 0 &&
         named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

bool JournalFile::is_short_of_room() {
  std::lock_guard lock(mutex_);
  const auto free = std::ranges::count(segments_, State::free, &Segment::state);
  return static_cast<size_t>(free) < segments_.size() / 2 &&
         std::ranges::count(segments_, State::full, &Segment::state) > 0;
}

std::optional<JournalFile::Full> JournalFile::take_full() {
  if (!is_short_of_room()) return std::nullopt;
  std::lock_guard lock(mutex_);
  const auto age = [](const Segment& s) { return s.state == State::full ? s.generation : UINT64_MAX; };
  const auto oldest = std::ranges::min_element(segments_, {}, age);
  oldest->state = State::taken;
  return Full{static_cast<size_t>(oldest - segments_.begin()), oldest->blocks};
}

void JournalFile::give_back(const Full& full) {
  std::lock_guard lock(mutex_);
  segments_[full.segment].state = State::free;
}

std::vector<BlockName> JournalFile::blocks() {
  std::lock_guard lock(mutex_);
  std::vector<BlockName> all;
  for (const Segment& segment : segments_) {
    if (segment.state != State::free) all.insert(all.end(), segment.blocks.begin(), segment.blocks.end());
  }
  return all;
}

bool JournalFile::mentions(const BlockName& block) {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(segments_, [&](const Segment& segment) {
    return std::ranges::find(segment.blocks, block) != segment.blocks.end();
  });
}

}  // namespace cider::chunk
