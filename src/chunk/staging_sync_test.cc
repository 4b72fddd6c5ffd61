// What staging asks of the kernel so that a power loss loses nothing: the order of the calls, and what
// happens when one of them fails. The calls are replaced for this program; they do as ever but for a test's
// own folder.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "chunk/staging.h"
#include "chunk/testing/forms.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace {

struct Calls {
  std::mutex mutex;
  std::string folder;  // only what lies in it is noted
  std::vector<std::string> log;
  std::string fail;     // the call that fails with EIO
  std::string fail_at;  // only of this file, if not empty
  bool fail_once = false;
  std::string hold;  // the next such call waits until let_go()
  bool held = false;
  std::condition_variable changed;

  std::string below(const std::string& path) {
    if (folder.empty() || !path.starts_with(folder)) return {};
    return path.size() == folder.size() ? "/" : path.substr(folder.size());
  }
  bool note(const char* call, const std::string& path) {
    std::unique_lock lock(mutex);
    std::string name = below(path);
    if (name.empty()) return true;
    log.push_back(std::string(call) + " " + name);
    if (hold == log.back()) {
      hold.clear();
      held = true;
      changed.notify_all();
      changed.wait(lock, [&] { return !held; });
    }
    if (fail != call || (!fail_at.empty() && name != fail_at)) return true;
    if (fail_once) fail.clear();
    errno = EIO;
    return false;
  }
  void hold_next(const std::string& line) {
    std::lock_guard lock(mutex);
    hold = line;
  }
  bool wait_until_held() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return held; });
  }
  void let_go() {
    std::lock_guard lock(mutex);
    held = false;
    changed.notify_all();
  }
};
Calls calls;

std::string path_of(int fd) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = ::readlink(link, path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
int fdatasync(int fd) {
  static const auto next = real<int (*)(int)>("fdatasync");
  return calls.note("fdatasync", path_of(fd)) ? next(fd) : -1;
}
int fsync(int fd) {
  static const auto next = real<int (*)(int)>("fsync");
  return calls.note("fsync", path_of(fd)) ? next(fd) : -1;
}
// Where they write is noted, too.
ssize_t pwritev64(int fd, const iovec* vector, int count, off_t off) {
  static const auto next = real<ssize_t (*)(int, const iovec*, int, off_t)>("pwritev64");
  calls.note(("pwritev " + std::to_string(off)).c_str(), path_of(fd));
  return next(fd, vector, count, off);
}
int rename(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return calls.note("rename", to) ? next(from, to) : -1;
}
}

namespace cider::chunk {
namespace {

struct Recorded {
  explicit Recorded(BlockForm form, const JournalOptions& journal = {.segments = 0}) {
    dirs = std::make_shared<CacheDirs>(
        std::vector<std::string>{dir.path()}, "uuid",
        CacheDir::Options{"", 0600, 0, false, testing::test_key(), form == BlockForm::sealed});
    StagingOptions options;
    options.delay = std::chrono::hours(1);
    options.journal = journal;
    StagingTarget target;
    target.upload = [this](const BlockName&, const BufferChain& data, std::stop_token) -> Status {
      std::unique_lock lock(mutex);
      uploads++;
      changed.notify_all();
      changed.wait(lock, [&] { return !held; });
      object = data.front().text();
      return {};
    };
    target.exists = [](const BlockName&) -> Result<bool> { return false; };
    staging.emplace(dirs, nullptr, target, options, budget, metrics);
    staging->start();
    if (journal.segments > 0) wait_for_journal();
    std::lock_guard lock(calls.mutex);
    calls.folder = dir.path() / "uuid";
    calls.log.clear();
  }
  ~Recorded() {
    std::lock_guard lock(calls.mutex);
    calls.folder.clear();
    calls.fail.clear();
    calls.fail_at.clear();
    calls.fail_once = false;
  }
  double journaled() { return metrics.counter("staging_block_journaled").value(); }
  void wait_for_journal() {
    uint64_t id = 1'000'000;
    EXPECT_TRUE(testing::eventually([&] { return add({id++, 0, 100}) && journaled() > 0; }));
  }
  std::vector<std::string> log() {
    std::lock_guard lock(calls.mutex);
    return calls.log;
  }
  bool add(const BlockName& block, char byte = 'x') {
    Buffer data = Buffer::allocate(block.bytes, nullptr);
    std::memset(data.mutable_data(), byte, data.size());
    return staging->add(block, {data});
  }
  size_t count(std::string_view call) {
    std::lock_guard lock(calls.mutex);
    return static_cast<size_t>(std::count_if(calls.log.begin(), calls.log.end(),
                                             [&](auto& line) { return line.starts_with(call); }));
  }

  void hold_uploads(bool value) {
    std::lock_guard lock(mutex);
    held = value;
    changed.notify_all();
  }

  testing::TempDir dir;
  MetricSet metrics;
  MemoryBudget budget{64 << 20};
  std::shared_ptr<CacheDirs> dirs;
  std::mutex mutex;  // guards the store
  std::condition_variable changed;
  bool held = false;
  int uploads = 0;
  std::string object;  // the last
  std::optional<Staging> staging;
};

class StagingSync : public ::testing::TestWithParam<BlockForm> {
 protected:
  const std::string staging_ = GetParam() == BlockForm::sealed ? "/sealedstaging" : "/rawstaging";
};

INSTANTIATE_TEST_SUITE_P(Forms, StagingSync, testing::kForms, testing::form_name);

TEST_P(StagingSync, NameThenDataThenFolders) {
  Recorded r(GetParam());
  ASSERT_TRUE(r.add({1, 0, 1000}));
  EXPECT_EQ(calls.log,
            (std::vector<std::string>{"rename " + staging_ + "/chunks/0/0/1_0_1000",
                                      "fdatasync " + staging_ + "/chunks/0/0/1_0_1000",
                                      "fsync " + staging_ + "/chunks/0/0", "fsync " + staging_ + "/chunks/0",
                                      "fsync " + staging_ + "/chunks", "fsync " + staging_, "fsync /"}));
}

TEST_P(StagingSync, ACopyThatIsThereStaysUntilTheNewOneIsSafe) {
  Recorded r(GetParam());
  ASSERT_TRUE(r.add({1, 0, 1000}));
  calls.log.clear();
  ASSERT_TRUE(r.add({1, 0, 1000}));
  ASSERT_EQ(calls.log.size(), 3u);
  EXPECT_TRUE(calls.log[0].starts_with("fdatasync " + staging_ + "/chunks/0/0/1_0_1000."));
  EXPECT_EQ(calls.log[1], "rename " + staging_ + "/chunks/0/0/1_0_1000");
  EXPECT_EQ(calls.log[2], "fsync " + staging_ + "/chunks/0/0");
}

TEST_P(StagingSync, FoldersAboveAreSyncedWhenTheyAreNew) {
  Recorded r(GetParam());
  const std::string leaf = "fsync " + staging_ + "/chunks/0/0";
  ASSERT_TRUE(r.add({1, 0, 1000}));
  calls.log.clear();
  ASSERT_TRUE(r.add({2, 0, 1000}));
  EXPECT_EQ(r.count("fsync"), 1u);
  EXPECT_EQ(calls.log.back(), leaf);
  // Somebody has removed them meanwhile.
  std::filesystem::remove_all(r.dir.path().string() + "/uuid" + staging_ + "/chunks");
  calls.log.clear();
  ASSERT_TRUE(r.add({3, 0, 1000}));
  EXPECT_EQ(r.count("fsync"), 5u);
}

TEST_P(StagingSync, AFailureOfAnyCallSendsTheBlockToTheStore) {
  for (const char* call : {"fdatasync", "rename", "fsync"}) {
    Recorded r(GetParam());
    calls.fail = call;
    EXPECT_FALSE(r.add({1, 0, 1000})) << call;
    EXPECT_FALSE(r.staging->holds({1, 0, 1000}));
    EXPECT_EQ(r.staging->usage().bytes, 0u);
    EXPECT_FALSE(std::filesystem::exists(std::string((*r.dirs)[0].staging({1, 0, 1000}))));
    EXPECT_EQ(r.metrics.counter("staging_block_errors").value(), 1);
    calls.fail.clear();
    EXPECT_TRUE(r.add({2, 0, 1000})) << call;
  }
}

// Whoever waits shares the fsyncs: there are never more than one round for each block, and all have had one
// that began after their name was there.
TEST_P(StagingSync, FoldersAreSyncedTogether) {
  Recorded r(GetParam());
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 8; t++) {
    threads.emplace_back([&r, t] {
      for (uint64_t i = 1; i <= 20; i++) EXPECT_TRUE(r.add({i * 8 + t, 0, 500}));
    });
  }
  threads.clear();
  EXPECT_EQ(r.count("rename"), 160u);
  EXPECT_LT(r.count("fsync " + staging_ + "/chunks/0/0"), 160u);
  std::lock_guard lock(calls.mutex);
  EXPECT_TRUE(calls.log.back().starts_with("fsync"));
}

// ---- With a journal

constexpr JournalOptions kJournal{256 << 10, 2, 100'000};
const std::string kJournalFile = "/.staging.journal";

std::vector<std::string> of_journal(const std::vector<std::string>& log) {
  std::vector<std::string> out;
  for (const std::string& line : log) {
    if (line.ends_with(kJournalFile)) out.push_back(line.substr(0, line.find(' ')));
  }
  return out;
}

TEST(StagingJournalSync, OneFlushDoes) {
  Recorded r(BlockForm::plain, kJournal);
  ASSERT_TRUE(r.add({1, 0, 1000}));
  EXPECT_EQ(of_journal(r.log()), (std::vector<std::string>{"pwritev", "fdatasync"}));
  EXPECT_EQ(r.count("fsync"), 0u);
  EXPECT_EQ(r.count("fdatasync"), 1u);
  const std::string file = "rename /rawstaging/chunks/0/0/1_0_1000";
  EXPECT_TRUE(testing::eventually([&] { return r.count(file) == 1; }));
  EXPECT_EQ(r.count("fdatasync"), 1u);
}

TEST(StagingJournalSync, AFlushIsShared) {
  Recorded r(BlockForm::plain, {1 << 20, 4, 100'000});
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 8; t++) {
    threads.emplace_back([&r, t] {
      for (uint64_t i = 1; i <= 20; i++) EXPECT_TRUE(r.add({i * 8 + t, 0, 500}));
    });
  }
  threads.clear();
  EXPECT_LT(r.count("fdatasync " + kJournalFile), 160u);
  EXPECT_EQ(of_journal(r.log()).back(), "fdatasync");
}

// The first segment is written again: before that the files of all blocks in it were synced, and their
// folder.
TEST(StagingJournalSync, ASegmentIsUsedAgainWhenItsBlocksAreSafe) {
  Recorded r(BlockForm::plain, kJournal);
  std::vector<uint64_t> first;  // in the first segment, after the blocks that were added to wait for it
  const double before = r.journaled();
  for (uint64_t id = 1; r.count("pwritev 0 ") == 0 && id < 1000; id++) {
    const double already = r.journaled();
    ASSERT_TRUE(r.add({id, 0, 50'000}));
    if (r.journaled() > already && r.journaled() - before <= 3) first.push_back(id);
  }
  const std::vector<std::string> log = r.log();
  const auto again = std::ranges::find_if(log, [](auto& line) { return line.starts_with("pwritev 0 "); });
  ASSERT_NE(again, log.end());
  ASSERT_EQ(first.size(), 3u);
  for (uint64_t id : first) {
    const std::string name = "/rawstaging/chunks/0/0/" + std::to_string(id) + "_0_50000";
    const auto named = std::find(log.begin(), again, "rename " + name);
    const auto synced = std::find(named, again, "fdatasync " + name);
    EXPECT_NE(std::find(synced, again, "fsync /rawstaging/chunks/0/0"), again) << id;
  }
}

// The block is made safe as ever, and the journal is given up; its blocks are safe before it is removed.
TEST(StagingJournalSync, AJournalThatFailsIsGivenUp) {
  Recorded r(BlockForm::plain, kJournal);
  ASSERT_TRUE(r.add({1, 0, 1000}));
  const double before = r.journaled();
  {
    std::lock_guard lock(calls.mutex);
    calls.fail = "fdatasync";
    calls.fail_at = kJournalFile;
    calls.log.clear();
  }
  for (uint64_t id = 2; id <= 4; id++) {
    const std::string name = "/rawstaging/chunks/0/0/" + std::to_string(id) + "_0_1000";
    ASSERT_TRUE(r.add({id, 0, 1000}));
    EXPECT_GE(r.count("fdatasync " + name), 1u);
  }
  EXPECT_EQ(r.count("fdatasync " + kJournalFile), 1u);
  EXPECT_EQ(r.journaled(), before);
  EXPECT_EQ(r.metrics.counter("staging_block_errors").value(), 0);
  EXPECT_TRUE(
      testing::eventually([&] { return !std::filesystem::exists(r.dir.path() / "uuid/.staging.journal"); }));
  EXPECT_GE(r.count("fdatasync /rawstaging/chunks/0/0/1_0_1000"), 1u);
}

// A second sync would say that all is well, as the error has been told.
TEST(StagingJournalSync, AJournalStaysWhereABlocksFileCouldNotBeSynced) {
  Recorded r(BlockForm::plain, kJournal);
  {
    std::lock_guard lock(calls.mutex);
    calls.fail = "fdatasync";
    calls.fail_at = "/rawstaging/chunks/0/0/1_0_50000";
    calls.fail_once = true;
  }
  for (uint64_t id = 1; id <= 12 && r.count("fdatasync " + calls.fail_at) == 0; id++) {
    ASSERT_TRUE(r.add({id, 0, 50'000}));
    (void)testing::eventually([&] { return r.count("fdatasync " + calls.fail_at) > 0; },
                              std::chrono::milliseconds(200));
  }
  ASSERT_GT(r.count("fdatasync " + calls.fail_at), 0u);
  r.staging->stop();
  EXPECT_TRUE(std::filesystem::exists(r.dir.path() / "uuid/.staging.journal"));
}

// Somebody has removed the folder: what is written to the journal is nowhere.
TEST(StagingJournalSync, AJournalThatWasRemovedIsGivenUp) {
  Recorded r(BlockForm::plain, kJournal);
  std::filesystem::remove(r.dir.path() / "uuid/.staging.journal");
  const double before = r.journaled();
  ASSERT_TRUE(r.add({1, 0, 1000}));
  EXPECT_EQ(r.journaled(), before);
  EXPECT_GE(r.count("fdatasync /rawstaging/chunks/0/0/1_0_1000"), 1u);
}

// ---- One name is staged again while something else about it is on its way

// Long enough for what does not wait; what does takes no harm from it.
template <class Condition>
void give_time(Condition condition) {
  (void)testing::eventually(condition, std::chrono::milliseconds(200));
}

constexpr BlockName kAgain{7, 0, 1000};

// The end of the older's upload would remove the newer's file, which has its name already.
TEST_P(StagingSync, AnUploadEndsWhileTheNameIsStagedAgain) {
  Recorded r(GetParam());
  r.hold_uploads(true);
  ASSERT_TRUE(r.add(kAgain, 'a'));
  std::jthread drains([&] { EXPECT_TRUE(r.staging->drain({})); });
  EXPECT_TRUE(testing::eventually([&] {
    std::lock_guard lock(r.mutex);
    return r.uploads == 1;
  }));
  calls.hold_next("fsync " + staging_ + "/chunks/0/0");
  std::jthread adds([&] { EXPECT_TRUE(r.add(kAgain, 'b')); });
  EXPECT_TRUE(calls.wait_until_held());
  r.hold_uploads(false);
  give_time([&] { return !r.staging->holds(kAgain); });
  calls.let_go();
  adds.join();
  drains.join();
  EXPECT_TRUE(r.staging->drain({}));
  EXPECT_EQ(r.object, std::string(1000, 'b'));
  EXPECT_EQ(r.metrics.counter("staging_block_errors").value(), 0);
}

TEST_P(StagingSync, RemovedWhileTheNameIsStagedAgain) {
  Recorded r(GetParam());
  ASSERT_TRUE(r.add(kAgain, 'a'));
  calls.hold_next("fsync " + staging_ + "/chunks/0/0");
  std::jthread adds([&] { EXPECT_TRUE(r.add(kAgain, 'b')); });
  EXPECT_TRUE(calls.wait_until_held());
  std::jthread removes([&] { r.staging->remove(kAgain); });
  give_time([&] { return !r.staging->holds(kAgain); });
  calls.let_go();
  adds.join();
  removes.join();
  EXPECT_FALSE(r.staging->holds(kAgain)) << "who comes later has it gone";
  ASSERT_TRUE(r.add(kAgain, 'c'));
  EXPECT_TRUE(r.staging->drain({}));
  EXPECT_EQ(r.object, std::string(1000, 'c'));
  EXPECT_EQ(r.metrics.counter("staging_block_errors").value(), 0);
}

// The older's file comes after its record, and would take the place of the newer's.
TEST(StagingJournalSync, TheOldersFileIsWrittenWhileTheNameIsStagedAgain) {
  Recorded r(BlockForm::plain, kJournal);
  calls.hold_next("rename /rawstaging/chunks/0/0/7_0_1000");
  ASSERT_TRUE(r.add(kAgain, 'a'));
  EXPECT_TRUE(calls.wait_until_held());
  std::atomic<bool> added{false};
  std::jthread adds([&] {
    EXPECT_TRUE(r.add(kAgain, 'b'));
    added = true;
  });
  give_time([&] { return added.load(); });
  calls.let_go();
  adds.join();
  EXPECT_TRUE(r.staging->drain({}));
  EXPECT_EQ(r.object, std::string(1000, 'b'));
}

TEST_P(StagingSync, WhatIsGivenUpDoesNotComeBack) {
  Recorded r(GetParam());
  ASSERT_TRUE(r.add(kAgain, 'a'));
  {
    std::lock_guard lock(calls.mutex);
    calls.log.clear();
  }
  EXPECT_TRUE(r.staging->supersede(kAgain));
  EXPECT_EQ(r.count("fsync " + staging_ + "/chunks/0/0"), 1u);
}

// Before the newer is acknowledged, nothing brings the older back.
TEST(StagingJournalSync, WhatIsStagedAgainIsNotedInTheJournal) {
  Recorded r(BlockForm::plain, kJournal);
  ASSERT_TRUE(r.add(kAgain, 'a'));
  {
    std::lock_guard lock(calls.mutex);
    calls.log.clear();
  }
  ASSERT_TRUE(r.add(kAgain, 'b'));
  const auto log = r.log();
  const auto named = std::find(log.rbegin(), log.rend(), "rename /rawstaging/chunks/0/0/7_0_1000");
  EXPECT_NE(std::find(log.rbegin(), named, "fdatasync " + kJournalFile), named);
}

}  // namespace
}  // namespace cider::chunk
