#include "chunk/staging_replay.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/log.h"
#include "base/unique_fd.h"
#include "chunk/cache/file_io.h"
#include "chunk/journal_format.h"
#include "chunk/staged_files.h"

namespace cider::chunk {
namespace {

struct Place {
  uint64_t offset = 0;  // in the journal
  size_t length = 0;
};
using Places = std::map<BlockName, Place>;

Result<Buffer> read_piece(int fd, uint64_t offset, size_t length) {
  Buffer piece = Buffer::allocate(length, nullptr);
  TRY(pread_all(fd, {piece.mutable_data(), length}, offset));
  return piece;
}

// Where the blocks are that are not done. A later record is of the same bytes.
Result<Places> find_blocks(int fd, uint64_t size, uint64_t segment) {
  std::vector<std::pair<uint64_t, JournalSegment>> segments;  // with their offsets
  for (uint64_t at = 0; at + segment <= size; at += segment) {
    const Buffer bytes = TRY(read_piece(fd, at, segment));
    segments.emplace_back(at, parse_journal_segment(bytes.bytes()));
  }
  std::ranges::sort(segments, {}, [](const auto& one) { return one.second.generation; });
  Places found;
  for (const auto& [at, parsed] : segments) {
    for (const JournalEntry& entry : parsed.entries) {
      if (entry.done) {
        found.erase(entry.block);
      } else {
        found[entry.block] = {at + entry.offset, entry.length};
      }
    }
  }
  return found;
}

bool is_whole(const char* path, const Buffer& content) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0 || static_cast<uint64_t>(about.st_size) != content.size())
    return false;
  const Result<Buffer> there = read_piece(fd.get(), 0, content.size());
  return there && std::memcmp(there->data(), content.data(), content.size()) == 0;
}

}  // namespace

Result<std::vector<BlockName>> replay_journal(CacheDir& dir, FolderSync& folders, const std::string& path,
                                              uint64_t segment) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::vector<BlockName>();
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0) return fail_errno("open");
  const Places places = TRY(find_blocks(fd.get(), static_cast<uint64_t>(about.st_size), segment));
  std::vector<BlockName> blocks;
  std::vector<BlockName> restored;
  for (const auto& [block, place] : places) {
    const Buffer content = TRY(read_piece(fd.get(), place.offset, place.length));
    const BlockPath file = dir.staging(block, BlockForm::plain);
    blocks.push_back(block);
    if (is_whole(file.c_str(), content)) continue;
    TRY(dir.store_file(file.c_str(), content, {}));
    restored.push_back(block);
  }
  TRY(sync_staged(dir, folders, restored));
  if (!restored.empty())
    log::info(std::to_string(restored.size()) + " staged blocks restored from the journal in " + dir.path());
  return blocks;
}

}  // namespace cider::chunk
