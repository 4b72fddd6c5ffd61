// The bytes of a staging journal (staging_journal.h). It is a number of segments of equal length, which are
// written one after the other, again and again. A segment begins with a page that tells its generation;
// records follow, each at the beginning of a page, so that nothing that was flushed lies in a page that is
// written later.
//
// Big-endian. Head: "CIDERSJ1", generation u64, CRC32C u32 of these. Record: "CSJR", kind u32 (1: a block, 2:
// done), generation u64, slice u64, index u32, bytes u32, length u32 and CRC32C u32 of the content, CRC32C
// u32 of all these; then the content: of a block, its file's; of done, names (slice u64, index u32, bytes
// u32).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "chunk/block_cache.h"

namespace cider::chunk {

constexpr size_t kJournalPage = 4096;

// Whole pages that hold one record.
class JournalRecord {
 public:
  // `trailer` follows the data in the block's file.
  static JournalRecord of_block(const BlockName& block, const BufferChain& data, std::string_view trailer,
                                MemoryBudget* budget);
  // The blocks are uploaded or removed, and need not be restored.
  static JournalRecord of_done(std::span<const BlockName> blocks, MemoryBudget* budget);

  // Makes it a record of a generation.
  void seal(uint64_t generation);
  std::span<const std::byte> pages() const { return pages_.bytes(); }
  // The file's bytes, in the same memory.
  Buffer content() const;

 private:
  JournalRecord(uint32_t kind, const BlockName& block, size_t length, MemoryBudget* budget);
  void append(std::span<const std::byte> bytes);

  Buffer pages_;
  uint32_t kind_;
  BlockName block_;
  uint32_t length_ = 0;
  uint32_t checksum_ = 0;
};

// A page.
Buffer journal_head(uint64_t generation);

struct JournalEntry {
  BlockName block;
  bool done = false;
  size_t offset = 0;  // of its file's bytes in the segment
  size_t length = 0;
  bool operator==(const JournalEntry&) const = default;
};

struct JournalSegment {
  uint64_t generation = 0;  // 0: nothing was written to it
  std::vector<JournalEntry> entries;
};

// Whatever the bytes are. The entries end before the first record that is not whole or of another generation.
JournalSegment parse_journal_segment(std::span<const std::byte> bytes);

}  // namespace cider::chunk
