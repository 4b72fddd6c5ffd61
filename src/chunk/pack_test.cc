// Small files in shared objects: what goes together, who gets which error, and that no object is removed that
// a file may need.
#include "chunk/pack.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using object::testing::FaultyStore;
using Op = FaultyStore::Op;
using Call = FaultyStore::Call;
using StoreVerdict = FaultyStore::Verdict;
using Verdict = MemoryCatalog::Verdict;

constexpr size_t kFile = 100 << 10;

HarnessOptions large_blocks(bool packing = true) {
  HarnessOptions options;
  options.block_size = 4 << 20;
  options.data.packing = packing;
  return options;
}

class PackTest : public ::testing::Test {
 protected:
  void hang_puts() {
    h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  }
  // Inodes first, first + 1 ..., of pattern(size, ino) each, sent off but not waited for.
  void send(Ino first, int files, size_t size = kFile) {
    for (Ino ino = first; ino < first + static_cast<Ino>(files); ++ino) {
      ASSERT_TRUE(h.write(ino, 0, pattern(size, ino)));
      h.data.flush_in_background(ino);
    }
  }
  // Two files on their way alone, and `files` more that wait for one of them.
  void gather(int files) {
    hang_puts();
    send(1, 2);
    ASSERT_TRUE(eventually([&] { return h.store.hanging() == 2; }));
    send(3, files);
  }
  void expect_stored(Ino ino, size_t size = kFile) {
    EXPECT_TRUE(h.data.flush(ino, {})) << ino;
    auto bytes = h.read_committed(ino, 0, static_cast<uint32_t>(size + 1));
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    EXPECT_TRUE(*bytes == pattern(size, ino)) << "inode " << ino;
  }
  Slice record(Ino ino) {
    const auto slices = h.catalog.slices(ino, 0, true).value();
    return slices.empty() ? Slice{} : slices.back();
  }
  size_t objects() { return h.store.list("", "", 1000)->size(); }

  Harness h{large_blocks()};
};

TEST_F(PackTest, OneWriterStoresEachFileAlone) {
  for (Ino ino = 1; ino <= 10; ++ino) {
    send(ino, 1);
    expect_stored(ino);
  }
  EXPECT_EQ(h.store.calls(Op::put), 10);
  EXPECT_EQ(h.catalog.packs(), 0);
  EXPECT_EQ(h.catalog.commits(), 10);
}

TEST_F(PackTest, SixtyFourWritersMakeSixPuts) {
  gather(62);
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 5; })) << "two alone, three full packs";
  h.store.release();
  for (Ino ino = 1; ino <= 64; ++ino) expect_stored(ino);
  EXPECT_EQ(h.store.calls(Op::put), 6);
  EXPECT_EQ(h.catalog.packs(), 4);
  EXPECT_EQ(h.catalog.commits(), 2);
}

TEST_F(PackTest, MembersHaveRangesOfOneSlice) {
  gather(3);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  const uint64_t id = record(3).id;
  EXPECT_EQ(record(3), (Slice{0, id, 3 * kFile, 0, kFile}));
  EXPECT_EQ(record(4), (Slice{0, id, 3 * kFile, kFile, kFile}));
  EXPECT_EQ(record(5), (Slice{0, id, 3 * kFile, 2 * kFile, kFile}));
  EXPECT_EQ(h.catalog.refs(id), 3);
  EXPECT_EQ(h.store.head(block_key(h.blocks.layout(), id, 0, 3 * kFile))->size, 3 * kFile);
  EXPECT_EQ(h.read(4, 10, 100).value(), pattern(kFile, 4).substr(10, 100)) << "this client reads them too";
}

TEST_F(PackTest, WhatIsInThePackIsReadFromMemoryUntilItIsCommitted) {
  gather(3);
  EXPECT_EQ(h.read(4, 0, kFile).value(), pattern(kFile, 4));
  EXPECT_EQ(h.data.pending(4)->length, kFile);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  EXPECT_FALSE(h.data.has_pending(4));
}

// Commits that take long hold the threads that made the PUTs before them: packs get others, although nothing
// else comes.
TEST_F(PackTest, IsStoredWhileCommitsHang) {
  hang_puts();
  ASSERT_TRUE(h.write(100, 0, pattern(2 << 20, 100)));
  h.data.flush_in_background(100);
  send(1, 2);
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 3; }));
  send(3, 3);
  std::promise<void> go_on;
  h.catalog.set_rule([gate = go_on.get_future().share()](auto, auto) {
    gate.wait();
    return Verdict{};
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));  // until nothing is dirty that is not on its way
  h.store.release();
  EXPECT_TRUE(eventually([&] { return h.store.calls(Op::put) == 4; }));
  go_on.set_value();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  expect_stored(100, 2 << 20);
}

TEST_F(PackTest, WhoIsGoneIsLeftOut) {
  gather(3);
  h.catalog.remove_inode(4);
  h.store.release();
  for (Ino ino : {3, 5}) expect_stored(ino);
  EXPECT_TRUE(h.data.flush(4, {})) << "nobody wants to know";
  EXPECT_EQ(h.catalog.refs(record(3).id), 2);
  EXPECT_EQ(h.store.calls(Op::remove), 0);
}

TEST_F(PackTest, WhereAllAreGoneTheObjectGoes) {
  gather(3);
  for (Ino ino : {3, 4, 5}) h.catalog.remove_inode(ino);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) EXPECT_TRUE(h.data.flush(ino, {}));
  EXPECT_TRUE(eventually([&] { return objects() == 2; })) << "those of the two that went alone";
}

TEST_F(PackTest, ARefusalIsTheMembersOwn) {
  gather(3);
  h.catalog.set_rule([](Ino ino, auto) { return Verdict{ino == 4 ? ENOSPC : 0, false}; });
  h.store.release();
  EXPECT_EQ(code_of(h.data.flush(4, {})), ENOSPC);
  for (Ino ino : {3, 5}) expect_stored(ino);
  h.catalog.set_rule(nullptr);
  send(4, 1);
  expect_stored(4);
}

TEST_F(PackTest, WhoMayShareNoSliceGetsItsOwn) {
  gather(3);
  std::atomic<bool> asked{false};
  h.catalog.set_rule([&](Ino ino, std::span<const NewSlice> slices) {
    const bool shared = slices[0].at.len < slices[0].at.size;
    if (ino == 4 && shared) asked = true;
    return Verdict{ino == 4 && shared ? EOPNOTSUPP : 0, false};
  });
  h.store.release();
  for (Ino ino : {3, 4, 5}) expect_stored(ino);
  EXPECT_TRUE(asked);
  EXPECT_NE(record(4).id, record(3).id);
  EXPECT_EQ(record(4).size, kFile);
}

TEST_F(PackTest, AVolumeWithoutPacksIsLearnt) {
  gather(3);
  h.catalog.refuse_packs(EOPNOTSUPP);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  EXPECT_EQ(h.catalog.packs(), 1);
  EXPECT_TRUE(eventually([&] { return objects() == 5; })) << "the pack is gone";
  gather(3);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) EXPECT_TRUE(h.data.flush(ino, {}));
  EXPECT_EQ(h.catalog.packs(), 1) << "no other is tried";
}

TEST_F(PackTest, AnIdThatIsSomebodyElsesKeepsItsObject) {
  gather(3);
  h.catalog.refuse_packs(EEXIST);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  EXPECT_EQ(h.store.calls(Op::remove), 0);
}

// The answer is lost, and the members' fate is learnt by asking again: each has one record, and the object
// stays.
TEST_F(PackTest, ALostAnswerIsNoLostSuccess) {
  gather(3);
  std::atomic<int> commits{0};
  h.catalog.set_rule([&](Ino ino, auto) {
    if (ino < 3) return Verdict{};
    return commits++ < 3 ? Verdict{EIO, true} : Verdict{};
  });
  h.store.release();
  for (Ino ino : {3, 4, 5}) expect_stored(ino);
  EXPECT_EQ(h.catalog.packs(), 2);
  EXPECT_EQ(h.catalog.slices(4, 0, true)->size(), 1u);
  EXPECT_EQ(h.catalog.refs(record(4).id), 3);
  EXPECT_EQ(h.store.calls(Op::remove), 0);
}

// As long as it is not known whether a commit was made, nothing is removed and nobody drops out.
TEST_F(PackTest, AnUnclearCommitKeepsItsMembers) {
  gather(3);
  std::atomic<bool> away{true};
  h.catalog.set_rule([&](Ino ino, auto) {
    if (ino < 3) return Verdict{};
    return away ? Verdict{ETIMEDOUT, true} : Verdict{};
  });
  h.store.release();
  ASSERT_TRUE(eventually([&] { return h.catalog.packs() >= 1; }));
  for (Ino ino : {3, 4, 5}) h.catalog.remove_inode(ino);
  auto cut =
      std::async(std::launch::async, [&] { return h.data.truncate(5, 0, {}, [] { return Status{}; }); });
  away = false;
  for (Ino ino : {3, 4, 5}) EXPECT_TRUE(h.data.flush(ino, {}));
  EXPECT_TRUE(cut.get());
  EXPECT_EQ(h.store.calls(Op::remove), 0) << "another file may have it by now";
}

TEST_F(PackTest, EachTryOfAPutSendsTheSameBytes) {
  gather(3);
  std::mutex mutex;
  std::map<std::string, int> tries;
  h.store.release();
  h.store.set_rule([&](const Call& call) {
    std::lock_guard lock(mutex);
    if (call.op != Op::put) return StoreVerdict{};
    return StoreVerdict{.code = ++tries[std::string(call.key)] < 3 ? EIO : 0};
  });
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  EXPECT_EQ(objects(), 3u);
  std::lock_guard lock(mutex);
  for (const auto& [key, n] : tries) EXPECT_LE(n, 3) << key;
}

TEST_F(PackTest, AFullStoreIsToldToAllMembers) {
  std::promise<void> first_two;
  std::atomic<bool> full{true};
  h.store.set_rule([&, gate = first_two.get_future().share()](const Call& call) {
    if (call.op != Op::put) return StoreVerdict{};
    if (call.n < 2) {
      gate.wait();
      return StoreVerdict{};
    }
    return StoreVerdict{.code = full ? ENOSPC : 0};
  });
  send(1, 2);
  ASSERT_TRUE(eventually([&] { return h.store.calls(Op::put) == 2; }));
  send(3, 3);
  first_two.set_value();
  for (Ino ino : {3, 4, 5}) EXPECT_EQ(code_of(h.data.flush(ino, {})), ENOSPC);
  full = false;
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  EXPECT_EQ(objects(), 3u) << "they are still one pack";
}

// While it waits for its turn.
TEST_F(PackTest, WhatATruncateCutsOffIsNotStored) {
  gather(3);
  ASSERT_TRUE(h.data.truncate(4, 0, {}, [&] {
    h.catalog.truncate(4, 0);
    return Status{};
  }));
  h.store.release();
  for (Ino ino : {3, 5}) expect_stored(ino);
  EXPECT_TRUE(h.data.flush(4, {}));
  EXPECT_EQ(h.catalog.length(4), 0u);
  EXPECT_TRUE(h.catalog.slices(4, 0, true)->empty());
  EXPECT_EQ(record(3).size, 2 * kFile);
}

TEST_F(PackTest, ATruncateOfWhatIsBeingStored) {
  for (const bool fails : {false, true}) {
    const Ino first = fails ? 101 : 1;
    hang_puts();
    send(first, 2);
    ASSERT_TRUE(eventually([&] { return h.store.hanging() == 2; }));
    send(first + 2, 20);  // a full pack, whose PUT hangs too
    send(first + 22, 1);
    ASSERT_TRUE(eventually([&] { return h.store.hanging() == 3; }));
    const Ino cut = first + 4;
    EXPECT_EQ(code_of(h.data.truncate(cut, 0, {},
                                      [&]() -> Status {
                                        if (fails) return fail(EPERM);
                                        h.catalog.truncate(cut, 0);
                                        return {};
                                      })),
              fails ? EPERM : 0)
        << "what it cuts off is not waited for";
    h.store.release();
    for (Ino ino = first; ino < first + 23; ++ino) {
      if (ino != cut || fails) expect_stored(ino);
    }
    EXPECT_TRUE(h.data.flush(cut, {}));
    EXPECT_EQ(h.catalog.length(cut), fails ? kFile : 0);
  }
}

// What was written later lies over what was written before, however they are stored.
TEST_F(PackTest, AFilesOrderIsKept) {
  hang_puts();
  send(1, 2);
  ASSERT_TRUE(eventually([&] { return h.store.hanging() == 2; }));
  send(3, 3);
  for (Ino ino : {1, 4}) {  // one that is being stored, one that waits
    ASSERT_TRUE(h.write(ino, 0, pattern(1000, 77)));
    h.data.flush_in_background(ino);
    ASSERT_TRUE(h.write(ino, kFile, pattern(1000, 78)));
    h.data.flush_in_background(ino);
  }
  h.store.release();
  for (Ino ino : {1, 4}) {
    ASSERT_TRUE(h.data.flush(ino, {}));
    std::string expected = pattern(kFile, ino) + pattern(1000, 78);
    expected.replace(0, 1000, pattern(1000, 77));
    EXPECT_TRUE(h.read_committed(ino, 0, 2 * kFile).value() == expected);
    std::set<uint64_t> ids;
    const std::vector<Slice> records = h.catalog.slices(ino, 0, true).value();
    for (const Slice& slice : records)
      EXPECT_TRUE(ids.insert(slice.id).second) << "two records of one slice in a file";
  }
}

TEST_F(PackTest, FsyncSyncsThePack) {
  gather(3);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  const int before = h.store.calls(Op::sync);
  EXPECT_TRUE(h.data.fsync(4, {}));
  EXPECT_EQ(h.store.calls(Op::sync) - before, 1);
  EXPECT_TRUE(h.data.sync_metadata([] { return Status{}; }));
  EXPECT_EQ(h.store.calls(Op::sync) - before, 4) << "its two neighbours' is one object, and two went alone";
}

TEST_F(PackTest, DirtyDataIsCountedUntilItIsStored) {
  gather(3);
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) expect_stored(ino);
  std::atomic<int> called{0};
  h.data.when_writable({}, [&] { called++; });
  EXPECT_EQ(called, 1);
  EXPECT_TRUE(eventually([&] { return h.budget.used() < kFile; })) << "nothing holds on to the data";
}

TEST(Packing, HasLimits) {
  EXPECT_EQ(pack_limits(true, 4 << 20, 2 << 20).pack, 2u << 20);
  EXPECT_EQ(pack_limits(true, 4 << 20, 2 << 20).member, 256u << 10);
  EXPECT_EQ(pack_limits(true, 64 << 10, 2 << 20).pack, 64u << 10);
  EXPECT_EQ(pack_limits(true, 64 << 10, 2 << 20).member, 16u << 10);
  EXPECT_EQ(pack_limits(true, 16 << 20, 16 << 20).pack, 4u << 20);
  EXPECT_EQ(pack_limits(false, 4 << 20, 2 << 20).member, 0u);
}

TEST(Packing, IsOffWhereItIsSwitchedOff) {
  Harness h(large_blocks(false));
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  for (Ino ino = 1; ino <= 10; ++ino) {
    ASSERT_TRUE(h.write(ino, 0, pattern(1000, ino)));
    h.data.flush_in_background(ino);
  }
  EXPECT_TRUE(eventually([&] { return h.store.hanging() == 10; }));
  h.store.release();
  for (Ino ino = 1; ino <= 10; ++ino) EXPECT_TRUE(h.data.flush(ino, {}));
  EXPECT_EQ(h.catalog.packs(), 0);
}

TEST(Packing, LargerSlicesGoAlone) {
  Harness h(large_blocks());
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  for (Ino ino = 1; ino <= 5; ++ino) {
    ASSERT_TRUE(h.write(ino, 0, pattern((256 << 10) + 1, ino)));
    h.data.flush_in_background(ino);
  }
  EXPECT_TRUE(eventually([&] { return h.store.hanging() == 5; }));
  h.store.release();
  for (Ino ino = 1; ino <= 5; ++ino) EXPECT_TRUE(h.data.flush(ino, {}));
}

// Files come and go from several threads while packs are stored and committed. At the end every file that is
// there reads right, and every object that was removed is nobody's.
TEST(Packing, FilesAreRemovedWhilePacksAreCommitted) {
  Harness h(large_blocks());
  constexpr int kThreads = 8;
  constexpr int kFiles = 60;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&h, t] {
      for (int i = 0; i < kFiles; ++i) {
        const Ino ino = 1000 * (t + 1) + i;
        ASSERT_TRUE(h.write(ino, 0, pattern(1 + ino % 5000, ino)));
        if (i % 3 == 0) {
          h.data.flush_in_background(ino);
          h.catalog.remove_inode(ino);
        }
        ASSERT_TRUE(h.data.flush(ino, {}));
      }
    });
  }
  threads.clear();
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kFiles; ++i) {
      if (i % 3 == 0) continue;
      const Ino ino = 1000 * (t + 1) + i;
      auto bytes = h.read_committed(ino, 0, 10'000);
      ASSERT_TRUE(bytes) << ino << ": " << bytes.error().to_string();
      EXPECT_TRUE(*bytes == pattern(1 + ino % 5000, ino)) << ino;
    }
  }
}

}  // namespace
}  // namespace cider::chunk::testing
