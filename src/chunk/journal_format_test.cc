#include "chunk/journal_format.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.h"
#include "chunk/testing/harness.h"

namespace cider::chunk {
namespace {

using testing::pattern;

BufferChain chain_of(std::string_view text) {
  Buffer buffer = Buffer::allocate(text.size(), nullptr);
  std::memcpy(buffer.mutable_data(), text.data(), text.size());
  return {buffer};
}

std::string pages_of(JournalRecord record, uint64_t generation) {
  record.seal(generation);
  const auto pages = record.pages();
  return {reinterpret_cast<const char*>(pages.data()), pages.size()};
}

std::string block_pages(const BlockName& block, std::string_view data, uint64_t generation) {
  return pages_of(JournalRecord::of_block(block, chain_of(data), "sums", nullptr), generation);
}

std::string head(uint64_t generation) {
  return std::string(journal_head(generation).text());
}

JournalSegment parse(std::string_view bytes) {
  return parse_journal_segment(std::as_bytes(std::span(bytes)));
}

std::vector<uint64_t> slices(const JournalSegment& segment) {
  std::vector<uint64_t> out;
  for (const JournalEntry& entry : segment.entries) out.push_back(entry.block.slice);
  return out;
}

TEST(JournalFormat, Golden) {
  const auto start = [](const std::string& pages, size_t n) { return to_hex(pages.substr(0, n)); };
  const std::string first = head(7);
  EXPECT_EQ(first.size(), kJournalPage);
  EXPECT_EQ(start(first, 24), "4349444552534a310000000000000007f602bd3300000000");
  const std::string block = block_pages({0x1122334455667788, 3, 2}, "ab", 7);
  EXPECT_EQ(block.size(), kJournalPage);
  EXPECT_EQ(start(block, 54),
            "43534a520000000100000000000000071122334455667788000000030000000200000006"
            "d780a1f3094e71356162"
            "73756d730000"
            "0000");
  const BlockName done[] = {{1, 2, 3}, {4, 5, 6}};
  EXPECT_EQ(start(pages_of(JournalRecord::of_done(done, nullptr), 8), 76),
            "43534a520000000200000000000000080000000000000000000000000000000000000020"
            "7ea696cbef7b2649"
            "0000000000000001"
            "00000002"
            "00000003"
            "0000000000000004"
            "00000005"
            "00000006");
}

TEST(JournalFormat, EntriesInOrder) {
  const std::string large = pattern(10'000);
  const BlockName done[] = {{1, 0, 2}, {9, 9, 9}};
  const std::string bytes =
      head(5) + block_pages({1, 0, 2}, "ab", 5) + block_pages({2, 1, 10'000}, large, 5) +
      pages_of(JournalRecord::of_done(done, nullptr), 5) + block_pages({3, 0, 1}, "c", 5);
  const JournalSegment segment = parse(bytes);
  EXPECT_EQ(segment.generation, 5u);
  EXPECT_EQ(slices(segment), (std::vector<uint64_t>{1, 2, 1, 9, 3}));
  ASSERT_EQ(segment.entries.size(), 5u);
  EXPECT_TRUE(segment.entries[2].done);
  EXPECT_EQ(segment.entries[3].block, (BlockName{9, 9, 9}));
  EXPECT_EQ(bytes.substr(segment.entries[1].offset, segment.entries[1].length), large + "sums");
}

TEST(JournalFormat, WhatIsNotWholeEndsIt) {
  const std::string large = pattern(10'000);
  const std::string bytes = head(5) + block_pages({1, 0, 2}, "ab", 5) +
                            block_pages({2, 0, 10'000}, large, 5) + block_pages({3, 0, 2}, "cd", 5);
  ASSERT_EQ(slices(parse(bytes)), (std::vector<uint64_t>{1, 2, 3}));
  // One byte of the second record is not what it was, wherever it is.
  const size_t second = 2 * kJournalPage;
  for (size_t at = second; at < second + 44 + large.size() + 4; at += at < second + 60 ? 1 : 97) {
    std::string torn = bytes;
    torn[at] = static_cast<char>(torn[at] ^ 1);
    EXPECT_EQ(slices(parse(torn)), (std::vector<uint64_t>{1})) << at;
  }
  // Cut off.
  for (size_t size : {second + 1, second + 43, second + 44, second + 44 + large.size()})
    EXPECT_EQ(slices(parse(bytes.substr(0, size))), (std::vector<uint64_t>{1})) << size;
  // The first sectors were written, the others not.
  std::string torn = bytes;
  torn.replace(second + kJournalPage, kJournalPage, kJournalPage, '\0');
  EXPECT_EQ(slices(parse(torn)), (std::vector<uint64_t>{1}));
}

TEST(JournalFormat, RecordsOfAnotherGenerationDoNotCount) {
  // What an earlier round has left behind the end.
  EXPECT_EQ(slices(parse(head(9) + block_pages({1, 0, 2}, "ab", 9) + block_pages({2, 0, 2}, "ab", 5))),
            (std::vector<uint64_t>{1}));
  // The records were written, the head not.
  EXPECT_TRUE(parse(head(5) + block_pages({1, 0, 2}, "ab", 9)).entries.empty());
}

TEST(JournalFormat, NoHead) {
  EXPECT_EQ(parse("").generation, 0u);
  EXPECT_EQ(parse(std::string(3 * kJournalPage, '\0')).generation, 0u);
  for (size_t at = 0; at < 20; at++) {
    std::string torn = head(5) + block_pages({1, 0, 2}, "ab", 5);
    torn[at] = static_cast<char>(torn[at] ^ 1);
    EXPECT_EQ(parse(torn).generation, 0u) << at;
    EXPECT_TRUE(parse(torn).entries.empty()) << at;
  }
}

}  // namespace
}  // namespace cider::chunk
