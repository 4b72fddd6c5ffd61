#include "chunk/staging_journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <latch>
#include <optional>
#include <set>

#include "base/testing/fixtures.h"
#include "chunk/staging_replay.h"
#include "chunk/testing/staging.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using cider::testing::read_file;
using namespace testing;
namespace fs = std::filesystem;

constexpr uint32_t kBytes = 50'000;                      // 13 pages with header and checksums
constexpr JournalOptions kSmall{256 << 10, 4, 100'000};  // four blocks in a segment

// A journal in a cache directory.
struct Journal {
  explicit Journal(const fs::path& folder, JournalOptions journal_options = kSmall, bool accept = true)
      : options(journal_options), dir({folder.string() + "/", 0600, 0, false, nullptr, false}) {
    EXPECT_TRUE(dir.open());
    journal.emplace(dir, folders, budget, options, [this](const BlockName&) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !held; });
    });
    journal->replay();
    journal->start(accept);
  }
  ~Journal() { hold(false); }
  bool append(uint64_t slice, uint32_t bytes = kBytes) {
    return journal->append({slice, 0, bytes}, chain_of(pattern(bytes, slice)));
  }
  bool append_when_ready(uint64_t slice) {
    return eventually([&] { return append(slice); });
  }
  fs::path file(uint64_t slice, uint32_t bytes = kBytes) {
    return std::string(dir.staging(BlockName{slice, 0, bytes}, BlockForm::plain));
  }
  // Threads that have written a file wait.
  void hold(bool value) {
    std::lock_guard lock(mutex);
    held = value;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  JournalOptions options;
  MemoryBudget budget{64 << 20};
  CacheDir dir;
  FolderSync folders;
  std::optional<StagingJournal> journal;
};

std::string path_of(const fs::path& folder) {
  return folder / ".staging.journal";
}

std::vector<JournalSegment> segments_of(const fs::path& folder, const JournalOptions& options = kSmall) {
  const std::string bytes = read_file(path_of(folder));
  std::vector<JournalSegment> out;
  for (size_t at = 0; at < bytes.size(); at += options.segment)
    out.push_back(parse_journal_segment(std::as_bytes(std::span(bytes)).subspan(at, options.segment)));
  return out;
}

// The blocks that a journal has, and those it calls done.
std::set<uint64_t> slices_in(const fs::path& folder, bool done) {
  std::set<uint64_t> out;
  for (const JournalSegment& segment : segments_of(folder)) {
    for (const JournalEntry& entry : segment.entries) {
      if (entry.done == done) out.insert(entry.block.slice);
    }
  }
  return out;
}

std::string content_of(uint64_t slice, uint32_t bytes = kBytes) {
  const BufferChain data = chain_of(pattern(bytes, slice));
  return pattern(bytes, slice) + checksum_trailer(data);
}

TEST(StagingJournal, ABlockIsReadFromMemoryUntilItHasItsFile) {
  TempDir dir;
  Journal j(dir.path());
  j.hold(true);
  ASSERT_TRUE(j.append_when_ready(1));
  EXPECT_EQ(j.journal->unwritten({1, 0, kBytes}).text(), pattern(kBytes, 1));
  EXPECT_EQ(slices_in(dir.path(), false), std::set<uint64_t>{1});
  j.hold(false);
  EXPECT_TRUE(eventually([&] { return j.journal->unwritten({1, 0, kBytes}).empty(); }));
  EXPECT_EQ(read_file(j.file(1)), content_of(1));
  EXPECT_TRUE(j.journal->unwritten({2, 0, kBytes}).empty());
}

TEST(StagingJournal, ABlockThatIsForgottenGetsNoFile) {
  TempDir dir;
  Journal j(dir.path());
  j.hold(true);
  for (uint64_t id = 1; id <= 3; id++) ASSERT_TRUE(j.append_when_ready(id));  // two are being written
  EXPECT_TRUE(eventually([&] { return fs::exists(j.file(1)) && fs::exists(j.file(2)); }));
  EXPECT_EQ(j.journal->forget({3, 0, kBytes}).text(), pattern(kBytes, 3));
  j.hold(false);
  EXPECT_TRUE(j.journal->forget({1, 0, kBytes}).empty());  // after its file is there
  EXPECT_TRUE(eventually([&] { return slices_in(dir.path(), true) == std::set<uint64_t>{1, 3}; }));
  j.journal->stop();
  EXPECT_TRUE(fs::exists(j.file(2)));
  EXPECT_FALSE(fs::exists(j.file(3)));
  EXPECT_FALSE(fs::exists(path_of(dir.path())));
}

TEST(StagingJournal, LargeBlocksAndFullOnesAreLeftToTheCaller) {
  TempDir dir;
  Journal j(dir.path());
  ASSERT_TRUE(j.append_when_ready(1));
  EXPECT_FALSE(j.append(2, 100'001));
  EXPECT_TRUE(j.append(3, 100'000));
  EXPECT_FALSE(j.append(3, 100'000) && !fs::exists(j.file(3, 100'000)));
}

// Segments are used again, but never while a block in them has no file that is safe.
TEST(StagingJournal, WithoutRoomNobodyWaits) {
  TempDir dir;
  Journal j(dir.path());
  ASSERT_TRUE(j.append_when_ready(1000));
  j.hold(true);
  std::set<uint64_t> appended;
  uint64_t id = 1;
  for (; id <= 30; id++) {
    if (j.append(id)) appended.insert(id);
  }
  EXPECT_LE(appended.size(), 15u);
  EXPECT_GE(appended.size(), 12u);
  const std::set<uint64_t> there = slices_in(dir.path(), false);
  for (uint64_t one : appended) EXPECT_TRUE(there.contains(one)) << one;
  j.hold(false);
  EXPECT_TRUE(j.append_when_ready(id));
}

TEST(StagingJournal, ManyRounds) {
  TempDir dir;
  Journal j(dir.path());
  for (uint64_t id = 1; id <= 100; id++) ASSERT_TRUE(j.append_when_ready(id)) << id;
  std::set<uint64_t> generations;
  for (const JournalSegment& segment : segments_of(dir.path())) {
    generations.insert(segment.generation);
    EXPECT_LE(segment.entries.size(), 4u);
    for (size_t i = 1; i < segment.entries.size(); i++)
      EXPECT_EQ(segment.entries[i].block.slice, segment.entries[0].block.slice + i);
  }
  EXPECT_EQ(generations.size(), 4u);
  EXPECT_EQ(*generations.rbegin() - *generations.begin(), 3u);
  EXPECT_TRUE(slices_in(dir.path(), false).contains(100));
  j.journal->stop();
  for (uint64_t id = 1; id <= 100; id++) EXPECT_EQ(read_file(j.file(id)), content_of(id));
}

TEST(StagingJournal, ManyThreadsShareIt) {
  TempDir dir;
  Journal j(dir.path(), {1 << 20, 4, 100'000});
  ASSERT_TRUE(j.append_when_ready(1));
  std::atomic<int> safe{0};
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 8; t++) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 40; i++) {
        const BlockName block{100 + i * 8 + t, 0, 3000};
        if (!j.journal->append(block, chain_of(pattern(block.bytes, block.slice)))) continue;
        safe++;
        if (const Buffer data = j.journal->unwritten(block); !data.empty()) {
          EXPECT_EQ(data.text(), pattern(block.bytes, block.slice));
        }
        if (i % 3 == 0) j.journal->forget(block);
      }
    });
  }
  threads.clear();
  EXPECT_GT(safe, 0);
  j.journal->stop();
}

// Newer bytes of the name are elsewhere.
TEST(StagingJournal, WhatIsSupersededIsNotRestored) {
  TempDir dir;
  Journal j(dir.path());
  j.hold(true);
  for (uint64_t id = 1; id <= 3; id++) ASSERT_TRUE(j.append_when_ready(id));
  j.hold(false);
  EXPECT_TRUE(j.journal->settle({1, 0, kBytes}));
  EXPECT_EQ(read_file(j.file(1)), content_of(1));
  EXPECT_TRUE(j.journal->supersede({1, 0, kBytes}));
  EXPECT_EQ(slices_in(dir.path(), true), std::set<uint64_t>{1}) << "at once";
  EXPECT_TRUE(j.journal->supersede({9, 0, kBytes}));
  EXPECT_EQ(slices_in(dir.path(), true), std::set<uint64_t>{1}) << "the journal does not have it";
  j.journal->stop();
  EXPECT_TRUE(j.journal->supersede({2, 0, kBytes})) << "there is no journal";
}

// Where a segment was given back, its records are there until it is written again.
TEST(StagingJournal, WhatIsInAFreeSegmentIsSupersededToo) {
  TempDir dir;
  Journal j(dir.path());
  ASSERT_TRUE(j.append_when_ready(1));
  for (uint64_t id = 2; slices_in(dir.path(), false).contains(1) && id < 12; id++)
    ASSERT_TRUE(j.append_when_ready(id));
  const std::set<uint64_t> there = slices_in(dir.path(), false);
  for (uint64_t id : there) EXPECT_TRUE(j.journal->supersede({id, 0, kBytes}));
  const std::set<uint64_t> done = slices_in(dir.path(), true);
  for (uint64_t id : slices_in(dir.path(), false)) EXPECT_TRUE(done.contains(id)) << id;
}

// ---- After a crash

// A cache directory as it is on the disk while its journal is in use. Files are as they are, unless a test
// changes them: a power loss may have taken any that were not synced.
struct Crashed {
  explicit Crashed(const std::vector<uint64_t>& ids, const std::vector<uint64_t>& done = {}) {
    TempDir before;
    Journal j(before.path());
    for (uint64_t id : ids) EXPECT_TRUE(j.append_when_ready(id));
    EXPECT_TRUE(eventually([&] {
      return std::ranges::all_of(ids,
                                 [&](uint64_t id) { return j.journal->unwritten({id, 0, kBytes}).empty(); });
    }));
    for (uint64_t id : done) {
      j.journal->forget({id, 0, kBytes});
      fs::remove(j.file(id));
    }
    EXPECT_TRUE(eventually([&] { return slices_in(before.path(), true).size() == done.size(); }));
    fs::copy(before.path(), dir.path(), fs::copy_options::recursive);
  }
  fs::path file(uint64_t slice) {
    CacheDir there({dir.path().string() + "/"});
    return std::string(there.staging(BlockName{slice, 0, kBytes}, BlockForm::plain));
  }
  std::vector<uint64_t> replay() {
    CacheDir there({dir.path().string() + "/"});
    FolderSync folders;
    const auto blocks = replay_journal(there, folders, path_of(dir.path()), kSmall.segment);
    std::vector<uint64_t> out;
    if (!blocks) return {0};
    for (const BlockName& block : *blocks) out.push_back(block.slice);
    return out;
  }
  std::set<uint64_t> files() {
    std::set<uint64_t> out;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path() / "rawstaging")) {
      if (const auto block = parse_block_name(entry.path().filename().string())) out.insert(block->slice);
    }
    return out;
  }
  TempDir dir;
};

TEST(StagingReplay, FilesThatAreNotWholeAreMadeAgain) {
  Crashed c({1, 2, 3, 4, 5, 6});
  const auto untouched = fs::last_write_time(c.file(6));
  fs::remove(c.file(1));
  fs::resize_file(c.file(2), 0);
  fs::resize_file(c.file(3), 20'000);
  std::fstream(c.file(4), std::ios::in | std::ios::out).seekp(30'000) << std::string(4096, '\0');
  fs::resize_file(c.file(5), kBytes);  // the checksums are gone
  EXPECT_EQ(c.replay(), (std::vector<uint64_t>{1, 2, 3, 4, 5, 6}));
  for (uint64_t id = 1; id <= 6; id++) EXPECT_EQ(read_file(c.file(id)), content_of(id)) << id;
  EXPECT_EQ(fs::last_write_time(c.file(6)), untouched);
}

TEST(StagingReplay, BlocksThatAreDoneStayAway) {
  Crashed c({1, 2, 3, 4, 5}, {2, 4});
  fs::remove_all(c.dir.path() / "rawstaging/chunks");
  EXPECT_EQ(c.replay(), (std::vector<uint64_t>{1, 3, 5}));
  EXPECT_EQ(c.files(), (std::set<uint64_t>{1, 3, 5}));
}

TEST(StagingReplay, ABlockThatIsStagedOnceMoreIsRestored) {
  TempDir dir;
  Journal j(dir.path());
  for (uint64_t id : {1, 2}) ASSERT_TRUE(j.append_when_ready(id));
  for (uint64_t id : {1, 2}) j.journal->forget({id, 0, kBytes});
  ASSERT_TRUE(j.append_when_ready(2));
  ASSERT_TRUE(eventually([&] { return j.journal->unwritten({2, 0, kBytes}).empty(); }));
  CacheDir there({dir.path().string() + "/"});
  FolderSync folders;
  const auto blocks = replay_journal(there, folders, path_of(dir.path()), kSmall.segment);
  ASSERT_TRUE(blocks);
  EXPECT_EQ(*blocks, (std::vector<BlockName>{{2, 0, kBytes}}));
}

TEST(StagingReplay, ARecordThatIsNotWholeIsNotRestored) {
  Crashed c({1, 2, 3});
  fs::remove_all(c.dir.path() / "rawstaging/chunks");
  // In the third record.
  std::fstream(path_of(c.dir.path()), std::ios::in | std::ios::out).seekp((1 + 13 + 13) * 4096 + 5000) << "?";
  EXPECT_EQ(c.replay(), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(c.files(), (std::set<uint64_t>{1, 2}));
}

TEST(StagingReplay, WithoutAJournal) {
  Crashed c({1});
  fs::remove(path_of(c.dir.path()));
  EXPECT_TRUE(c.replay().empty());
  std::ofstream(path_of(c.dir.path())) << "something else";
  EXPECT_TRUE(c.replay().empty());
}

// The next run begins with a journal of its own; one that does not write back has none.
TEST(StagingReplay, TheNextRunGoesOn) {
  Crashed c({1, 2, 3});
  fs::remove(c.file(2));
  {
    Journal next(c.dir.path());
    EXPECT_EQ(read_file(c.file(2)), content_of(2));
    ASSERT_TRUE(next.append_when_ready(9));
    EXPECT_EQ(slices_in(c.dir.path(), false), std::set<uint64_t>{9});
  }
  Crashed d({1});
  Journal next(d.dir.path(), kSmall, false);
  EXPECT_TRUE(eventually([&] { return !fs::exists(path_of(d.dir.path())); }));
  EXPECT_FALSE(next.append(5));
}

// An engine that lost its last commits may give a slice's number out again.
TEST(StagingReplay, AWholeFileOfOtherBytesIsNewer) {
  Crashed c({1, 2});
  const std::string newer = pattern(kBytes, 99) + checksum_trailer(chain_of(pattern(kBytes, 99)));
  std::ofstream(c.file(1), std::ios::binary) << newer;
  EXPECT_EQ(c.replay(), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(read_file(c.file(1)), newer);
}

// Its removal was not on the disk yet.
TEST(StagingReplay, AFileOfWhatTheJournalHadEarlierIsOlder) {
  TempDir dir;
  Journal j(dir.path());
  ASSERT_TRUE(j.append_when_ready(1));
  j.journal->forget({1, 0, kBytes});
  const BufferChain newer = chain_of(pattern(kBytes, 99));
  ASSERT_TRUE(j.journal->append({1, 0, kBytes}, newer));
  ASSERT_TRUE(eventually([&] { return j.journal->unwritten({1, 0, kBytes}).empty(); }));
  std::ofstream(j.file(1), std::ios::binary) << content_of(1);
  CacheDir there({dir.path().string() + "/"});
  FolderSync folders;
  ASSERT_TRUE(replay_journal(there, folders, path_of(dir.path()), kSmall.segment));
  EXPECT_EQ(read_file(j.file(1)), pattern(kBytes, 99) + checksum_trailer(newer));
}

TEST(StagingReplay, OneThatCannotBeRestoredHindersNoOther) {
  Crashed c({1, 2, 3});
  for (uint64_t id : {1, 2, 3}) fs::remove(c.file(id));
  fs::create_directories(c.file(2) / "in the way");
  EXPECT_EQ(c.replay(), std::vector<uint64_t>{0}) << "an error, so that the journal stays";
  EXPECT_EQ(read_file(c.file(1)), content_of(1));
  EXPECT_EQ(read_file(c.file(3)), content_of(3));
}

// What cannot be restored now stays in the journal.
TEST(StagingReplay, WithoutSpaceForTheFilesTheJournalStays) {
  Crashed c({1, 2});
  fs::remove_all(c.dir.path() / "rawstaging/chunks");
  std::ofstream(c.dir.path() / "rawstaging/chunks") << "in the way";
  {
    Journal next(c.dir.path());
    EXPECT_FALSE(next.append(5));
  }
  fs::remove(c.dir.path() / "rawstaging/chunks");
  EXPECT_EQ(c.replay(), (std::vector<uint64_t>{1, 2}));
}

}  // namespace
}  // namespace cider::chunk
