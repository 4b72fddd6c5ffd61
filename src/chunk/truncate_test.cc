// A truncate drops what was buffered beyond the new end, and nothing else.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using Op = object::testing::FaultyStore::Op;
using Call = object::testing::FaultyStore::Call;
using StoreVerdict = object::testing::FaultyStore::Verdict;
using namespace std::chrono_literals;

constexpr Ino kIno = 7;
constexpr uint32_t kBlock = 64 << 10;

size_t stored_bytes(Harness& h) {
  size_t bytes = 0;
  const auto objects = *h.store.list("", "", 10'000);
  for (const auto& object : objects) bytes += object.size;
  return bytes;
}

Status truncate(Harness& h, uint64_t length, std::stop_token stop = {}, int code = 0) {
  return h.data.truncate(kIno, length, std::move(stop), [&h, length, code]() -> Status {
    if (code != 0) return fail(code);
    h.catalog.truncate(kIno, length);
    return {};
  });
}

void hang_puts(Harness& h) {
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
}

TEST(Truncate, StoresNothingBeyondTheEnd) {
  Harness h;
  const std::string text = pattern(kBlock - 1);  // no full block, so that nothing is on its way
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(h.write(kIno, 3 * kBlock, text));
  ASSERT_TRUE(h.write(kIno, kChunkSize + 5, text));
  ASSERT_TRUE(truncate(h, 1000));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(stored_bytes(h), 1000u);
  EXPECT_EQ(h.catalog.length(kIno), 1000u);
  EXPECT_EQ(*h.read_committed(kIno, 0, kBlock), text.substr(0, 1000));
}

TEST(Truncate, ToNothingNeedsNoStore) {
  Harness h;
  hang_puts(h);
  ASSERT_TRUE(h.write(kIno, 0, pattern(10 * kBlock + 10)));
  ASSERT_TRUE(eventually([&] { return h.store.hanging() > 0; }));
  ASSERT_TRUE(truncate(h, 0));
  EXPECT_FALSE(h.data.has_pending(kIno));
  EXPECT_EQ(h.catalog.commits(), 0);
  EXPECT_EQ(*h.read(kIno, 0, 100), "");
  ASSERT_TRUE(h.write(kIno, 5, "new"));
  h.store.release();
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read_committed(kIno, 0, 100), std::string(5, '\0') + "new");
  EXPECT_TRUE(eventually([&] { return stored_bytes(h) == 3; })) << "objects of dropped slices stay";
  EXPECT_TRUE(eventually([&] { return h.budget.used() <= kBlock; })) << h.budget.used();
}

TEST(Truncate, ThatFailsLosesNothing) {
  for (bool stalled : {false, true}) {
    Harness h;
    if (stalled) hang_puts(h);
    const std::string text = pattern(5 * kBlock + 100);
    ASSERT_TRUE(h.write(kIno, 0, text));
    ASSERT_TRUE(h.write(kIno, kChunkSize, text));
    ASSERT_TRUE(h.write(kIno, kChunkSize + 10, "over"));
    if (stalled) {
      ASSERT_TRUE(eventually([&] { return h.store.hanging() > 0; }));
    }
    EXPECT_EQ(code_of(truncate(h, 0, {}, EPERM)), EPERM);
    std::string second = text;
    second.replace(10, 4, "over");
    EXPECT_EQ(*h.read(kIno, 0, text.size()), text);
    EXPECT_EQ(*h.read(kIno, kChunkSize, text.size()), second);
    h.store.release();
    ASSERT_TRUE(h.data.flush(kIno, {}));
    EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);
    EXPECT_EQ(*h.read_committed(kIno, kChunkSize, text.size()), second);
  }
}

TEST(Truncate, ThatIsInterruptedLosesNothing) {
  Harness h;
  hang_puts(h);
  const std::string text = pattern(3 * kBlock + 100);
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(h.write(kIno, 20 * kBlock, "far"));
  ASSERT_TRUE(eventually([&] { return h.store.hanging() > 0; }));
  std::stop_source stop;
  std::jthread interrupter([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  EXPECT_EQ(code_of(truncate(h, 10, stop.get_token())), EINTR);  // waits for the blocks below
  EXPECT_EQ(*h.read(kIno, 20 * kBlock, 10), "far");
  h.store.release();
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);
  EXPECT_EQ(*h.read_committed(kIno, 20 * kBlock, 10), "far");
}

TEST(Truncate, CutsOnlyWhatCameBeforeIt) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(1000)));
  ASSERT_TRUE(h.data.truncate(kIno, 10, {}, [&]() -> Status {
    EXPECT_EQ(h.catalog.length(kIno), 10u);  // what lies below is committed
    EXPECT_TRUE(h.write(kIno, 100, "later"));
    h.data.flush_in_background(kIno);
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(h.catalog.commits(), 1);  // held back
    h.catalog.truncate(kIno, 10);
    return {};
  }));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read_committed(kIno, 0, 2000), pattern(10) + std::string(90, '\0') + "later");
}

// What a flush waits for is stored, even if a truncate comes while it waits.
TEST(Truncate, TakesNothingFromAFlush) {
  Harness h;
  hang_puts(h);
  ASSERT_TRUE(h.write(kIno, 0, "hello"));
  std::jthread flush([&] { EXPECT_TRUE(h.data.flush(kIno, {})); });
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 1; }));
  std::atomic<bool> cut{false};
  std::jthread truncater([&] {
    EXPECT_TRUE(truncate(h, 0, {}, 0));
    cut = true;
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(cut);
  h.store.release();
  flush.join();
  truncater.join();
  EXPECT_EQ(h.catalog.commits(), 1);
  EXPECT_EQ(h.catalog.length(kIno), 0u);
}

TEST(Truncate, DataOfAFileThatIsGoneIsGivenUpWhenItCannotBeStored) {
  Harness h;
  h.store.set_rule([](const Call& call) { return StoreVerdict{.code = call.op == Op::put ? ENOSPC : 0}; });
  ASSERT_TRUE(h.write(kIno, 0, pattern(3 * kBlock)));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), ENOSPC);
  h.catalog.remove_inode(kIno);
  EXPECT_TRUE(eventually([&] { return !h.data.has_pending(kIno); }));
  EXPECT_EQ(h.budget.used(), 0u);
}

TEST(Truncate, DataOfAFileThatIsGoneIsNotMissedAtTheEnd) {
  Harness h;
  h.store.set_rule([](const Call& call) { return StoreVerdict{.code = call.op == Op::put ? EIO : 0}; });
  ASSERT_TRUE(h.write(kIno, 0, "x"));
  ASSERT_TRUE(h.write(kIno + 1, 0, "y"));
  h.catalog.remove_inode(kIno);
  EXPECT_EQ(code_of(h.data.flush_all(100ms)), EIO);  // of the other one
  h.catalog.remove_inode(kIno + 1);
  EXPECT_TRUE(h.data.flush_all(100ms));
}

}  // namespace
}  // namespace cider::chunk::testing
