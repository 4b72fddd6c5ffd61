#include "chunk/journal_format.h"

#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace cider::chunk {
namespace {

constexpr std::string_view kHeadMagic = "CIDERSJ1";
constexpr std::string_view kRecordMagic = "CSJR";
constexpr size_t kHeader = 4 + 4 + 8 + 8 + 4 + 4 + 4 + 4 + 4;
constexpr size_t kName = 8 + 4 + 4;
enum Kind : uint32_t { kBlock = 1, kDone = 2 };

constexpr size_t whole_pages(size_t bytes) {
  return (bytes + kJournalPage - 1) / kJournalPage * kJournalPage;
}

uint32_t checksum(std::string_view bytes) {
  return crc32c(0, std::as_bytes(std::span(bytes)));
}

struct Header {
  uint32_t kind = 0;
  uint64_t generation = 0;
  BlockName block;
  uint32_t length = 0;
  uint32_t checksum = 0;
};

BlockName read_name(ByteReader& in) {
  BlockName name;
  name.slice = in.u64();
  name.index = in.u32();
  name.bytes = in.u32();
  return name;
}

bool parse_header(std::string_view bytes, Header* out) {
  ByteReader in(bytes);
  const bool magic = in.raw(kRecordMagic.size()) == kRecordMagic;
  out->kind = in.u32();
  out->generation = in.u64();
  out->block = read_name(in);
  out->length = in.u32();
  out->checksum = in.u32();
  const uint32_t sum = in.u32();
  return magic && in.ok() && sum == checksum(bytes.substr(0, kHeader - 4));
}

uint64_t parse_head(std::string_view bytes) {
  ByteReader in(bytes);
  const bool magic = in.raw(kHeadMagic.size()) == kHeadMagic;
  const uint64_t generation = in.u64();
  const uint32_t sum = in.u32();
  return magic && in.ok() && sum == checksum(bytes.substr(0, kHeadMagic.size() + 8)) ? generation : 0;
}

}  // namespace

JournalRecord::JournalRecord(uint32_t kind, const BlockName& block, size_t length, MemoryBudget* budget)
    : pages_(Buffer::allocate(whole_pages(kHeader + length), budget)), kind_(kind), block_(block) {
  const size_t used = kHeader + length;
  std::memset(pages_.mutable_data() + used, 0, pages_.size() - used);
}

JournalRecord JournalRecord::of_block(const BlockName& block, const BufferChain& data,
                                      std::string_view trailer, MemoryBudget* budget) {
  JournalRecord record(kBlock, block, total_size(data) + trailer.size(), budget);
  for (const Buffer& piece : data) record.append(piece.bytes());
  record.append(std::as_bytes(std::span(trailer)));
  return record;
}

JournalRecord JournalRecord::of_done(std::span<const BlockName> blocks, MemoryBudget* budget) {
  ByteWriter names;
  for (const BlockName& block : blocks) names.u64(block.slice).u32(block.index).u32(block.bytes);
  JournalRecord record(kDone, {}, names.view().size(), budget);
  record.append(std::as_bytes(std::span(names.view())));
  return record;
}

void JournalRecord::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::memcpy(pages_.mutable_data() + kHeader + length_, bytes.data(), bytes.size());
  length_ += static_cast<uint32_t>(bytes.size());
  checksum_ = crc32c(checksum_, bytes);
}

void JournalRecord::seal(uint64_t generation) {
  ByteWriter out;
  out.raw(kRecordMagic).u32(kind_).u64(generation);
  out.u64(block_.slice).u32(block_.index).u32(block_.bytes).u32(length_).u32(checksum_);
  out.u32(checksum(out.view()));
  std::memcpy(pages_.mutable_data(), out.view().data(), kHeader);
}

Buffer JournalRecord::content() const {
  return pages_.slice(kHeader, length_);
}

Buffer journal_head(uint64_t generation) {
  ByteWriter out;
  out.raw(kHeadMagic).u64(generation);
  out.u32(checksum(out.view()));
  Buffer page = Buffer::allocate(kJournalPage, nullptr);
  std::memset(page.mutable_data(), 0, page.size());
  std::memcpy(page.mutable_data(), out.view().data(), out.view().size());
  return page;
}

JournalSegment parse_journal_segment(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  JournalSegment out{parse_head(text), {}};
  if (out.generation == 0) return out;
  Header header;
  for (size_t at = kJournalPage; at < text.size(); at += whole_pages(kHeader + header.length)) {
    const std::string_view rest = text.substr(at);
    if (!parse_header(rest, &header) || header.generation != out.generation) break;
    const std::string_view content = rest.substr(kHeader, header.length);
    if (content.size() != header.length || checksum(content) != header.checksum) break;
    if (header.kind == kBlock) out.entries.push_back({header.block, false, at + kHeader, header.length});
    if (header.kind != kDone) continue;
    for (ByteReader names(content); names.remaining() >= kName;)
      out.entries.push_back({read_name(names), true});
  }
  return out;
}

}  // namespace cider::chunk
