// Segments of any content: what is found lies in them. A record with right checksums is rare by chance, so
// the input is also taken for the content of a block and of names, in a segment of its own.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "chunk/journal_format.h"

namespace {

using cider::chunk::JournalRecord;

void check(std::string_view bytes) {
  const auto segment = cider::chunk::parse_journal_segment(std::as_bytes(std::span(bytes)));
  for (const auto& entry : segment.entries) {
    if (entry.offset > bytes.size() || entry.length > bytes.size() - entry.offset) __builtin_trap();
  }
}

std::string sealed(JournalRecord record, uint64_t generation) {
  record.seal(generation);
  return {reinterpret_cast<const char*>(record.pages().data()), record.pages().size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  const std::string head(cider::chunk::journal_head(7).text());
  check(head + std::string(bytes));
  cider::Buffer content = cider::Buffer::allocate(size, nullptr);
  if (size > 0) std::memcpy(content.mutable_data(), data, size);
  std::string segment = head + sealed(JournalRecord::of_block({1, 0, 1}, {content}, "", nullptr), 7);
  check(segment + std::string(bytes));
  if (size < 8) return 0;
  // A byte of a sound segment is changed.
  uint32_t at = 0;
  std::memcpy(&at, data, sizeof at);
  segment[at % segment.size()] = static_cast<char>(data[4]);
  check(segment);
  return 0;
}
