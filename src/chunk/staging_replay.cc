#include "chunk/staging_replay.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/log.h"
#include "base/unique_fd.h"
#include "chunk/cache/block_file.h"
#include "chunk/cache/file_io.h"
#include "chunk/journal_format.h"
#include "chunk/staged_files.h"

namespace cider::chunk {
namespace {

struct Place {
  uint64_t offset = 0;  // in the journal
  size_t length = 0;
};
// Of one name.
struct Records {
  std::vector<Place> blocks;  // the oldest first
  bool done = false;          // the latest is
};
using Found = std::map<BlockName, Records>;

Result<Buffer> read_piece(int fd, uint64_t offset, size_t length) {
  Buffer piece = Buffer::allocate(length, nullptr);
  TRY(pread_all(fd, {piece.mutable_data(), length}, offset));
  return piece;
}

// A segment; pages that can't be read are zeros, and end what is found in it.
Result<Buffer> read_segment(int fd, uint64_t at, uint64_t segment) {
  Result<Buffer> whole = read_piece(fd, at, segment);
  if (whole) return whole;
  log::error("journal of staged blocks: " + whole.error().to_string() + "; reading what can be read of it");
  Buffer pages = Buffer::allocate(segment, nullptr);
  std::memset(pages.mutable_data(), 0, segment);
  for (uint64_t off = 0; off < segment; off += kJournalPage)
    (void)pread_all(fd, {pages.mutable_data() + off, kJournalPage}, at + off);
  return pages;
}

// The blocks that are not done. Of one name the latest record counts.
Result<Found> find_blocks(int fd, uint64_t size, uint64_t segment) {
  std::vector<std::pair<uint64_t, JournalSegment>> segments;  // with their offsets
  for (uint64_t at = 0; at + segment <= size; at += segment) {
    const Buffer bytes = TRY(read_segment(fd, at, segment));
    segments.emplace_back(at, parse_journal_segment(bytes.bytes()));
  }
  std::ranges::sort(segments, {}, [](const auto& one) { return one.second.generation; });
  Found found;
  for (const auto& [at, parsed] : segments) {
    for (const JournalEntry& entry : parsed.entries) {
      Records& records = found[entry.block];
      records.done = entry.done;
      if (!entry.done) records.blocks.push_back({at + entry.offset, entry.length});
    }
  }
  std::erase_if(found, [](const auto& one) { return one.second.done; });
  return found;
}

// As the disk has it: of pages that could not be written a page cache may still say what they should be.
// Empty if it is not whole.
Buffer read_file(const char* path, const BlockName& block) {
  {
    const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd || ::fdatasync(fd.get()) != 0) return {};
    (void)::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
  Result<BlockFile> file = BlockFile::open(path, block.bytes);
  if (!file || !file->has_checksums()) return {};
  Buffer there = Buffer::allocate(block.bytes, nullptr);
  if (!file->read(0, {there.mutable_data(), there.size()}, Verify::full)) return {};
  return there;
}

// A whole file of other bytes is newer, of a number that an engine without its last commits gave out again: a
// block goes to the journal only where no file has its name. Unless the journal had these bytes earlier: they
// were uploaded, and a power loss has undone the removal of their file.
bool has_newest_file(const char* path, const BlockName& block, int journal, const Records& records,
                     const Buffer& newest) {
  const Buffer there = read_file(path, block);
  if (there.empty()) return false;
  const auto same = [&](const Buffer& content) {
    return std::memcmp(there.data(), content.data(), block.bytes) == 0;
  };
  if (same(newest)) return true;
  const auto had = [&](const Place& place) {
    const Result<Buffer> content = read_piece(journal, place.offset, place.length);
    return content && same(*content);
  };
  if (std::ranges::any_of(records.blocks, had)) return false;
  log::warning("staged block " + std::string(path) + " differs from the journal's and is left as it is");
  return true;
}

}  // namespace

Result<std::vector<BlockName>> replay_journal(CacheDir& dir, FolderSync& folders, const std::string& path,
                                              uint64_t segment) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::vector<BlockName>();
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0) return fail_errno("open");
  const Found found = TRY(find_blocks(fd.get(), static_cast<uint64_t>(about.st_size), segment));
  std::vector<BlockName> blocks;
  std::vector<BlockName> restored;
  Status first_error;
  const auto restore = [&](const BlockName& block, const Records& records) -> Status {
    const Place& place = records.blocks.back();
    const Buffer content = TRY(read_piece(fd.get(), place.offset, place.length));
    const BlockPath file = dir.staging(block, BlockForm::plain);
    if (has_newest_file(file.c_str(), block, fd.get(), records, content)) return {};
    TRY(dir.store_file(file.c_str(), content, {}));
    restored.push_back(block);
    return {};
  };
  for (const auto& [block, records] : found) {
    blocks.push_back(block);
    Status done = restore(block, records);
    if (!done && first_error) first_error = done;  // the others are restored all the same
  }
  TRY(sync_staged(dir, folders, restored));
  if (!restored.empty())
    log::info(std::to_string(restored.size()) + " staged blocks restored from the journal in " + dir.path());
  if (!first_error) return fail(first_error.error());
  return blocks;
}

}  // namespace cider::chunk
