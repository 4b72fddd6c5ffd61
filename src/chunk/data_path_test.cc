#include "chunk/data_path.h"

#include <gtest/gtest.h>

#include <thread>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using Op = object::testing::FaultyStore::Op;
using Call = object::testing::FaultyStore::Call;
using StoreVerdict = object::testing::FaultyStore::Verdict;
using namespace std::chrono_literals;

constexpr Ino kIno = 7;

TEST(DataPath, ReadsWhatWasWrittenBeforeAndAfterFlush) {
  Harness h;
  std::string text = pattern(300'000);
  ASSERT_TRUE(h.write(kIno, 0, text));
  EXPECT_EQ(*h.read(kIno, 0, 400'000), text);
  EXPECT_EQ(h.data.pending(kIno)->length, 300'000u);
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_FALSE(h.data.has_pending(kIno));
  EXPECT_EQ(h.catalog.length(kIno), 300'000u);
  EXPECT_EQ(*h.read(kIno, 0, 400'000), text);
  EXPECT_EQ(*h.read_committed(kIno, 0, 400'000), text);
  EXPECT_EQ(h.read_committed(kIno, 1000, 5)->size(), 5u);
}

TEST(DataPath, SequentialWritesMakeOneSlice) {
  Harness h;
  std::string text = pattern(256 << 10);
  for (size_t off = 0; off < text.size(); off += 4096)
    ASSERT_TRUE(h.write(kIno, off, text.substr(off, 4096)));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  auto slices = *h.catalog.slices(kIno, 0, true);
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0].len, text.size());
  EXPECT_EQ(h.store.calls(Op::put), 4);
  EXPECT_EQ(h.catalog.commits(), 1);
  EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);
}

TEST(DataPath, FullBlocksAreUploadedBeforeFlush) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(200 << 10)));
  EXPECT_TRUE(eventually([&] { return h.store.calls(Op::put) == 3; }, 10s));
  EXPECT_EQ(h.catalog.commits(), 0);
}

TEST(DataPath, IdleDataIsCommittedByItself) {
  HarnessOptions options;
  options.data.longest_idle = 300ms;
  Harness h(std::move(options));
  ASSERT_TRUE(h.write(kIno, 10, "hello"));
  EXPECT_TRUE(eventually([&] { return h.catalog.length(kIno) == 15; }, 10s));
  EXPECT_TRUE(eventually([&] { return !h.data.has_pending(kIno); }, 10s));
  EXPECT_EQ(*h.read_committed(kIno, 0, 100), std::string(10, '\0') + "hello");
}

TEST(DataPath, LaterWritesCoverEarlierOnesWhateverIsUploaded) {
  Harness h;
  std::string text = pattern(256 << 10, 1);
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(eventually([&] { return h.store.calls(Op::put) == 4; }, 10s));
  std::string over = pattern(100'000, 2);
  ASSERT_TRUE(h.write(kIno, 50'000, over));
  text.replace(50'000, over.size(), over);
  EXPECT_EQ(*h.read(kIno, 0, text.size()), text);
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read(kIno, 0, text.size()), text);
  EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);
}

TEST(DataPath, WritesAcrossChunksAreOneCommit) {
  Harness h;
  std::string text = pattern(3000);
  ASSERT_TRUE(h.write(kIno, kChunkSize - 1000, text));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(h.catalog.slices(kIno, 0, true)->size(), 1u);
  EXPECT_EQ(h.catalog.slices(kIno, 1, true)->size(), 1u);
  EXPECT_EQ(*h.read_committed(kIno, kChunkSize - 1000, 5000), text);
}

TEST(DataPath, FlushOfCleanInodeDoesNothing) {
  Harness h;
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_TRUE(h.data.fsync(kIno, {}));
  EXPECT_EQ(h.catalog.commits(), 0);
  EXPECT_EQ(h.store.calls(Op::put), 0);
}

}  // namespace
}  // namespace cider::chunk::testing
