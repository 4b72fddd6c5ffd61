// What the data path promises when the store or the catalog fail, stall or answer late.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/log.h"
#include "chunk/data_path.h"
#include "chunk/testing/harness.h"
#include "object/testing/temp_dir.h"

namespace cider::chunk::testing {
namespace {

using Op = object::testing::FaultyStore::Op;
using Call = object::testing::FaultyStore::Call;
using StoreVerdict = object::testing::FaultyStore::Verdict;
using namespace std::chrono_literals;

constexpr Ino kIno = 7;
constexpr uint32_t kBlock = 64 << 10;

HarnessOptions impatient() {
  HarnessOptions options;
  options.data.flush_timeout = 1s;
  return options;
}

size_t objects(Harness& h) {
  return h.store.list("", "", 10'000)->size();
}

TEST(DataPathFault, FlushFailsInTimeAndTheNextSucceedsWhenTheStoreIsBack) {
  Harness h(impatient());
  h.store.set_rule([](const Call& call) { return StoreVerdict{.code = call.op == Op::put ? EIO : 0}; });
  std::string text = pattern(3 * kBlock);
  ASSERT_TRUE(h.write(kIno, 0, text));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), EIO);
  EXPECT_EQ(*h.read(kIno, 0, text.size()), text);  // kept
  EXPECT_EQ(h.catalog.commits(), 0);
  h.store.release();
  ASSERT_TRUE(eventually([&] { return !!h.data.flush(kIno, {}); }));
  EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);
  EXPECT_TRUE(h.data.flush(kIno, {}));
}

// A hundred failed uploads are one outage.
TEST(DataPathFault, AnOutageIsToldBriefly) {
  object::testing::TempDir dir;
  log::configure({.file = dir.path() + "/log"});
  std::atomic<int> failures{0};
  {
    Harness h;
    h.store.set_rule([&](const Call& call) {
      if (call.op == Op::put) failures++;
      return StoreVerdict{.code = call.op == Op::put ? EIO : 0};
    });
    for (Ino ino = 1; ino <= 20; ++ino) {
      ASSERT_TRUE(h.write(ino, 0, pattern(2 * kBlock)));
      h.data.flush_in_background(ino);
    }
    ASSERT_TRUE(eventually([&] { return failures >= 100; }));
    h.store.release();
    for (Ino ino = 1; ino <= 20; ++ino) ASSERT_TRUE(eventually([&] { return !!h.data.flush(ino, {}); }));
  }
  log::configure({});
  std::ifstream in(dir.path() + "/log");
  int begun = 0, ended = 0, lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    begun += line.find("uploads fail") != std::string::npos;
    ended += line.find("uploads work again") != std::string::npos;
  }
  EXPECT_GE(begun, 1);
  EXPECT_GE(ended, 1);
  EXPECT_LT(lines, 10);
}

TEST(DataPathFault, InterruptedFlushGoesOnInTheBackground) {
  Harness h;
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  ASSERT_TRUE(h.write(kIno, 0, "hello"));
  std::stop_source stop;
  std::jthread interrupter([&] {
    eventually([&] { return h.store.hanging() > 0; });
    stop.request_stop();
  });
  EXPECT_EQ(code_of(h.data.flush(kIno, stop.get_token())), EINTR);
  EXPECT_TRUE(h.data.has_pending(kIno));
  h.store.release();
  EXPECT_TRUE(eventually([&] { return !h.data.has_pending(kIno); }));
  EXPECT_EQ(*h.read_committed(kIno, 0, 5), "hello");
}

TEST(DataPathFault, FullStoreIsToldAsSuchAndTheDataIsKept) {
  HarnessOptions options;
  options.data.flush_timeout = 60s;
  Harness h(std::move(options));
  h.store.set_rule([](const Call& call) { return StoreVerdict{.code = call.op == Op::put ? ENOSPC : 0}; });
  ASSERT_TRUE(h.write(kIno, 0, "hello"));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), ENOSPC);
  // With much unwritten data the writer is told, instead of being held for ever.
  Status status;
  for (int i = 0; i < 200 && status; i++)
    status = h.write(kIno + 1, static_cast<uint64_t>(i) << 20, pattern(1 << 20));
  EXPECT_EQ(code_of(status), ENOSPC);
  std::atomic<bool> called{false};
  h.data.when_writable({}, [&] { called = true; });
  EXPECT_TRUE(called);
  h.store.release();
  ASSERT_TRUE(eventually([&] { return !!h.data.flush(kIno, {}); }));
  ASSERT_TRUE(eventually([&] { return !!h.data.flush(kIno + 1, {}); }));
  EXPECT_EQ(*h.read_committed(kIno, 0, 5), "hello");
}

TEST(DataPathFault, QuotaErrorsAreToldOnceAndTheObjectsGo) {
  Harness h;
  h.catalog.set_rule([](Ino, auto) { return MemoryCatalog::Verdict{EDQUOT}; });
  ASSERT_TRUE(h.write(kIno, 0, pattern(2 * kBlock)));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), EDQUOT);
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_FALSE(h.data.has_pending(kIno));
  EXPECT_TRUE(eventually([&] { return objects(h) == 0; }));
  // Nobody waits: the next flush is told.
  ASSERT_TRUE(h.write(kIno, 0, "x"));
  h.data.flush_in_background(kIno);
  ASSERT_TRUE(eventually([&] { return !h.data.has_pending(kIno); }));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), EDQUOT);
  h.catalog.set_rule(nullptr);
  ASSERT_TRUE(h.write(kIno, 0, "y"));
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read_committed(kIno, 0, 9), "y");
}

TEST(DataPathFault, WhatFitsIsKeptWhenAJointCommitMeetsALimit) {
  Harness h;
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  h.catalog.set_rule([](Ino, std::span<const NewSlice> slices) {
    return MemoryCatalog::Verdict{slices.size() > 1 || slices[0].index > 0 ? ENOSPC : 0};
  });
  ASSERT_TRUE(h.write(kIno, 0, "fits"));
  h.data.flush_in_background(kIno);
  ASSERT_TRUE(h.write(kIno, kChunkSize, "does not"));
  h.data.flush_in_background(kIno);
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 2; }));
  h.store.release();
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), ENOSPC);
  EXPECT_EQ(h.catalog.length(kIno), 4u);
  EXPECT_EQ(*h.read_committed(kIno, 0, 9), "fits");
}

TEST(DataPathFault, DataOfADeletedInodeIsDroppedSilently) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(2 * kBlock)));
  h.catalog.remove_inode(kIno);
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_FALSE(h.data.has_pending(kIno));
  EXPECT_TRUE(eventually([&] { return objects(h) == 0; }));
}

TEST(DataPathFault, UnclearCommitIsRepeatedAndItsObjectsStay) {
  Harness h;
  std::atomic<int> tries{0};
  h.catalog.set_rule([&](Ino, auto) {
    int n = tries++;
    if (n == 0) return MemoryCatalog::Verdict{EIO, true};  // the reply was lost
    if (n == 1) return MemoryCatalog::Verdict{ETIMEDOUT};
    return MemoryCatalog::Verdict{};
  });
  std::string text = pattern(kBlock + 10);
  ASSERT_TRUE(h.write(kIno, 0, text));
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(h.catalog.slices(kIno, 0, true)->size(), 1u);
  EXPECT_EQ(*h.read_committed(kIno, 0, text.size()), text);

  // Unclear first, refused then: it may be committed, so the objects stay.
  tries = 0;
  h.catalog.set_rule([&](Ino, auto) {
    return tries++ == 0 ? MemoryCatalog::Verdict{EIO, true} : MemoryCatalog::Verdict{EDQUOT};
  });
  ASSERT_TRUE(h.write(kIno, 0, "over"));
  EXPECT_EQ(code_of(h.data.flush(kIno, {})), EDQUOT);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(objects(h), 3u);
  EXPECT_EQ(h.read_committed(kIno, 0, 4).value(), "over");
}

TEST(DataPathFault, CompactedBlocksAreFoundAgainByFreshRecords) {
  Harness h;
  std::string text = pattern(1000);
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read(kIno, 0, 1000), text);
  // Another client rewrites the slice and removes the old one.
  auto slices = *h.catalog.slices(kIno, 0, true);
  Slice fresh = *h.data.rewrite(slices, {});
  h.catalog.set_slices(kIno, 0, {fresh});
  ASSERT_TRUE(h.blocks.remove_slice(slices[0].id, slices[0].size));
  EXPECT_EQ(*h.read(kIno, 500, 500, 2), text.substr(500));
  // Really gone is an error.
  ASSERT_TRUE(h.blocks.remove_slice(fresh.id, fresh.size));
  h.data.invalidate(kIno);
  DataPath other(h.blocks, h.catalog, h.budget, {});
  EXPECT_EQ(code_of(other.read(kIno, 1, 1000, 0, 1000, {})), EIO);
}

TEST(DataPathFault, ReadsAreTriedAgain) {
  Harness h;
  std::string text = pattern(kBlock);
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  h.store.set_rule(
      [](const Call& call) { return StoreVerdict{.code = call.op == Op::get && call.n < 3 ? EIO : 0}; });
  EXPECT_EQ(*h.read(kIno, 100, 1000), text.substr(100, 1000));
  EXPECT_GE(h.store.calls(Op::get), 4);
}

TEST(DataPathFault, WhatAStoreAnswersIsEioForReaders) {
  HarnessOptions options;
  options.data.io_retries = 1;
  Harness h(std::move(options));
  ASSERT_TRUE(h.write(kIno, 0, pattern(1000)));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  for (int code : {ECONNREFUSED, EACCES, ETIMEDOUT, ENOSPC}) {
    h.store.set_rule([&](const Call& call) { return StoreVerdict{.code = call.op == Op::get ? code : 0}; });
    EXPECT_EQ(code_of(h.read(kIno, 0, 1000)), EIO) << code;
  }
}

TEST(DataPathFault, TruncatedBlockIsAnErrorAtOnce) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(1000)));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  auto object = h.store.list("", "", 1)->at(0);
  ASSERT_TRUE(h.store.put(object.key, {}, {}));
  auto got = h.read(kIno, 0, 1000);
  EXPECT_EQ(code_of(got), EIO);
  EXPECT_NE(got.error().message.find("has 0 bytes"), std::string::npos) << got.error().message;
  EXPECT_EQ(h.store.calls(Op::get), 1);
}

// The content of a file whose blocks the store does not give before release().
std::string held_back(Harness& h, size_t size) {
  std::string text = pattern(size);
  EXPECT_TRUE(h.write(kIno, 0, text));
  EXPECT_TRUE(h.data.flush(kIno, {}));
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::get}; });
  return text;
}

TEST(DataPathFault, EqualFetchesAreOneAndSurviveTheInterruptOfTheFirst) {
  Harness h;
  const std::string text = held_back(h, kBlock);
  std::stop_source stop;
  std::atomic<int> interrupted{-1};
  std::jthread first(
      [&] { interrupted = code_of(h.data.read(kIno, 1, kBlock, 4096, kBlock - 4096, stop.get_token())); });
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 1; }));
  std::vector<std::jthread> others;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; i++) {
    others.emplace_back([&, i] {
      auto bytes = h.read(kIno, 4096, kBlock - 4096, static_cast<uint64_t>(i) + 2);
      right += bytes && *bytes == text.substr(4096);
    });
  }
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(h.store.calls(Op::get), 1);
  stop.request_stop();
  ASSERT_TRUE(eventually([&] { return interrupted.load() == EINTR; }));
  ASSERT_TRUE(eventually([&] { return h.store.calls(Op::get) == 2; }));
  h.store.release();
  others.clear();
  EXPECT_EQ(right, 4);
  EXPECT_EQ(h.store.calls(Op::get), 2);
}

// A reader that is still busy with its first block counts on somebody else's fetch of the second.
TEST(DataPathFault, AReaderIsNotInterruptedWithTheOneWhoseFetchItPlannedToUse) {
  Harness h;
  const std::string text = held_back(h, 2 * kBlock);
  std::stop_source stop;
  std::atomic<int> interrupted{-1};
  std::jthread first(
      [&] { interrupted = code_of(h.data.read(kIno, 1, 2 * kBlock, kBlock, kBlock, stop.get_token())); });
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 1; }));
  std::atomic<int> answer{-1};
  std::jthread second([&] {
    auto bytes = h.read(kIno, 0, 2 * kBlock, 2);
    EXPECT_TRUE(!bytes || *bytes == text);
    answer = code_of(bytes);
  });
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 2; }));
  stop.request_stop();
  ASSERT_TRUE(eventually([&] { return interrupted.load() == EINTR; }));
  h.store.release();
  ASSERT_TRUE(eventually([&] { return answer.load() != -1; }));
  EXPECT_EQ(answer, 0);
}

TEST(DataPathFault, InterruptedReadEnds) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(1000)));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  h.store.set_rule([](const Call& call) { return StoreVerdict{.code = call.op == Op::get ? EIO : 0}; });
  std::stop_source stop;
  std::jthread later([&] {
    eventually([&] { return h.store.calls(Op::get) > 0; });
    stop.request_stop();
  });
  EXPECT_EQ(code_of(h.data.read(kIno, 1, 1000, 0, 1000, stop.get_token())), EINTR);
}

TEST(DataPathFault, OrderedRunsAfterWhatWasWrittenAndBeforeWhatComes) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(1000)));
  ASSERT_TRUE(h.data.ordered(kIno, {}, [&]() -> Status {
    EXPECT_EQ(h.catalog.length(kIno), 1000u);
    EXPECT_TRUE(h.write(kIno, 100, "later"));
    h.data.flush_in_background(kIno);
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(h.catalog.commits(), 1);  // held back
    h.catalog.truncate(kIno, 10);
    return {};
  }));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  std::string expected = pattern(1000).substr(0, 10) + std::string(90, '\0') + "later";
  EXPECT_EQ(*h.read(kIno, 0, 2000), expected);
  EXPECT_EQ(*h.read_committed(kIno, 0, 2000), expected);
  EXPECT_EQ(code_of(h.data.ordered(kIno, {}, [] { return Status(fail(EPERM)); })), EPERM);
}

TEST(DataPathFault, OrderedGivesUpItsPlaceWhenInterrupted) {
  Harness h;
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  ASSERT_TRUE(h.write(kIno, 0, "a"));
  std::stop_source stop;
  std::jthread later([&] {
    eventually([&] { return h.store.hanging() > 0; });
    stop.request_stop();
  });
  bool ran = false;
  EXPECT_EQ(code_of(h.data.ordered(kIno, stop.get_token(),
                                   [&] {
                                     ran = true;
                                     return Status();
                                   })),
            EINTR);
  h.store.release();
  EXPECT_TRUE(h.data.flush(kIno, {}));
  EXPECT_FALSE(ran);
  EXPECT_EQ(h.catalog.length(kIno), 1u);
}

TEST(DataPathFault, FsyncSyncsEachSliceOnceAndAgainAfterAFailure) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(2 * kBlock)));
  h.store.set_rule(
      [](const Call& call) { return StoreVerdict{.code = call.op == Op::sync && call.n == 0 ? EIO : 0}; });
  EXPECT_EQ(code_of(h.data.fsync(kIno, {})), EIO);
  EXPECT_TRUE(h.data.fsync(kIno, {}));
  EXPECT_EQ(h.store.calls(Op::sync), 3);
  EXPECT_TRUE(h.data.fsync(kIno, {}));
  EXPECT_EQ(h.store.calls(Op::sync), 3);
}

// Another file's fsync takes this file's records to the disk too.
TEST(DataPathFault, BlocksAreSyncedBeforeTheirRecordsBecomeDurable) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, pattern(2 * kBlock)));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(h.store.calls(Op::sync), 0);
  EXPECT_TRUE(h.data.sync_metadata([&]() -> Status {
    EXPECT_EQ(h.store.calls(Op::sync), 2);
    h.catalog.set_rule([&](Ino, auto) {
      EXPECT_EQ(h.store.calls(Op::sync), 3);  // a commit that comes meanwhile is synced before
      return MemoryCatalog::Verdict{};
    });
    EXPECT_TRUE(h.write(kIno + 1, 0, "later"));
    return h.data.flush(kIno + 1, {});
  }));
  h.catalog.set_rule(nullptr);
  ASSERT_TRUE(h.write(kIno, 0, "later"));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(h.store.calls(Op::sync), 3);
}

TEST(DataPathFault, BlocksAreSyncedBeforeTheEngineIsClosed) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 0, "a"));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  ASSERT_TRUE(h.write(kIno + 1, 0, "b"));
  ASSERT_TRUE(h.data.flush_all(10s));
  EXPECT_EQ(h.store.calls(Op::sync), 2);
}

TEST(DataPathFault, RewriteJoinsPartsAndCleansUpAfterAFailure) {
  Harness h;
  std::string text = pattern(3 * kBlock);
  ASSERT_TRUE(h.write(kIno, 0, text));
  ASSERT_TRUE(h.data.flush(kIno, {}));
  Slice whole = h.catalog.slices(kIno, 0, true)->at(0);
  std::vector<Slice> parts = {
      {0, whole.id, whole.size, 100, 70'000}, {0, 0, 0, 0, 1000}, {0, whole.id, whole.size, 5, 10}};
  Slice made = *h.data.rewrite(parts, {});
  EXPECT_EQ(made.len, 71'010u);
  EXPECT_EQ(made.size, made.len);
  std::string bytes(made.len, '?');
  ASSERT_TRUE(h.blocks.read(made.id, made.size, 0, std::as_writable_bytes(std::span(bytes)), {}));
  EXPECT_EQ(bytes, text.substr(100, 70'000) + std::string(1000, '\0') + text.substr(5, 10));
  EXPECT_GT(h.store.calls(Op::sync), 0);
  size_t before = objects(h);
  h.store.set_rule([](const Call& call) {
    return StoreVerdict{.code = call.op == Op::put && call.key.find("_1_") != call.key.npos ? EIO : 0};
  });
  EXPECT_EQ(code_of(h.data.rewrite(parts, {})), EIO);
  EXPECT_EQ(objects(h), before);
  EXPECT_EQ(code_of(h.data.rewrite({}, {})), EINVAL);
}

TEST(DataPathFault, CompactionIsSuggestedForCrowdedChunks) {
  Harness h;
  for (int i = 0; i < 100; i++) {
    ASSERT_TRUE(h.write(kIno, static_cast<uint64_t>(i) * 100, "x"));
    ASSERT_TRUE(h.data.flush(kIno, {}));
  }
  ASSERT_TRUE(eventually([&] { return h.catalog.suggested().size() == 1; }));
  ASSERT_TRUE(h.read_committed(kIno, 0, 100));
  EXPECT_EQ(h.catalog.suggested().size(), 2u);  // a reader that loads many records says so too
}

TEST(DataPathFault, LowerChunksAreCommittedFirst) {
  Harness h;
  ASSERT_TRUE(h.write(kIno, 10, "low"));
  ASSERT_TRUE(h.write(kIno, 2 * kChunkSize - kBlock, pattern(kBlock)));  // the chunk's end: sent off at once
  ASSERT_TRUE(eventually([&] { return h.catalog.length(kIno) == 2 * kChunkSize; }));
  EXPECT_EQ(*h.read_committed(kIno, 10, 3), "low");
}

// Another client never sees zeros below the length, however the store reorders and fails.
TEST(DataPathFault, LengthNeverComesBeforeData) {
  for (unsigned seed = 0; seed < 3; seed++) {
    Harness h(HarnessOptions{.budget = 256 << 20, .block_size = 1 << 20});
    std::atomic<unsigned> calls{seed};
    h.store.set_rule([&](const Call& call) -> StoreVerdict {
      if (call.op != Op::put) return {};
      unsigned n = calls++ * 2654435761u >> 16;
      return {.code = n % 5 == 0 ? EIO : 0, .delay = Millis(n % 13)};
    });
    const uint64_t start = kChunkSize - (20ull << 20);
    const uint64_t total = kChunkSize + (20ull << 20);
    h.catalog.truncate(kIno, start);
    std::jthread writer([&] {
      std::string piece = pattern(256 << 10);
      for (uint64_t off = start; off < total; off += piece.size()) {
        ASSERT_TRUE(h.write(kIno, off, piece));
        if (off % (7 << 20) == 0) h.data.flush_in_background(kIno);
      }
      ASSERT_TRUE(h.data.flush(kIno, {}));
    });
    uint64_t seen = start;
    while (seen < total) {
      uint64_t length = h.catalog.length(kIno);
      if (length == seen) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      MemoryBudget budget(64 << 20);
      DataPath other(h.blocks, h.catalog, budget, {});
      for (uint64_t off = seen; off < length; off += 1 << 20) {
        auto chain = other.read(kIno, 1, length, off, 1 << 20, {});
        ASSERT_TRUE(chain) << chain.error().to_string();
        for (const Buffer& piece : *chain)
          ASSERT_EQ(piece.text().find('\0'), std::string_view::npos) << "at " << off;
      }
      seen = length;
    }
  }
}

}  // namespace
}  // namespace cider::chunk::testing
