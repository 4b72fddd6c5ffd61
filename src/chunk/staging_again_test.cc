// A name that is staged again with other bytes, as a metadata engine that has lost its last commits gives
// numbers out again. The newest bytes stay, and are what the store has in the end.
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "base/testing/fixtures.h"
#include "chunk/staging.h"
#include "chunk/testing/staging.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr uint32_t kBytes = 3000;
constexpr BlockName kBlock{500'000, 0, kBytes};
const std::string kOlder = pattern(kBytes, 1);
const std::string kNewer = pattern(kBytes, 2);

struct Way {
  const char* name;
  BlockForm form = BlockForm::plain;
  bool journal = false;
};

class StagingAgain : public ::testing::TestWithParam<Way> {
 protected:
  StagingAgain() { open(at_once()); }
  ~StagingAgain() override {
    store_.hold(false);
    store_.hold_removes(false);
  }

  StagingOptions options(bool at_once) const {
    StagingOptions options;
    options.journal = {1 << 20, GetParam().journal ? size_t{4} : 0, 100'000};
    if (!at_once) options.delay = std::chrono::hours(1);
    return options;
  }
  StagingOptions at_once() const { return options(true); }
  Stage& open(const StagingOptions& options) {
    first_.reset();
    return first_.emplace(dir_.path(), store_, options, true, kStagedUuid, GetParam().form);
  }
  // What is staged goes to the journal, if there is one. Uploads are held then.
  Stage& ready() {
    uint64_t id = 1;
    if (GetParam().journal) {
      EXPECT_TRUE(eventually(
          [&] { return first_->add({id++, 0, 500}) && first_->value("staging_block_journaled") > 0; }));
    }
    EXPECT_TRUE(first_->staging.drain({}));
    for (uint64_t one = 1; one < id; one++)
      EXPECT_TRUE(eventually([&] { return !fs::exists(first_->file({one, 0, 500})); }));
    std::lock_guard lock(store_.mutex);
    store_.tries = 0;
    store_.held = true;
    return *first_;
  }
  static bool add(Stage& s, const std::string& bytes) { return s.staging.add(kBlock, chain_of(bytes)); }
  static std::string read(Stage& s) {
    std::string out(kBytes, '\0');
    const auto there = s.staging.read(kBlock, 0, std::as_writable_bytes(std::span(out)));
    return there && *there ? out : "";
  }
  // As the directory would be found if the process were killed now.
  void expect_after_kill(const std::string& bytes) {
    TempDir copy;
    fs::create_directory(copy.path() / kStagedUuid);
    for (const auto& entry : fs::directory_iterator(dir_.path() / kStagedUuid)) {
      const std::string name = entry.path().filename();
      if (name == "raw" || name == "sealed") continue;  // the cache is written meanwhile
      fs::copy(entry, copy.path() / kStagedUuid / name, fs::copy_options::recursive);
    }
    FakeStore other;
    {
      std::lock_guard lock(store_.mutex);
      other.objects = store_.objects;
    }
    Stage next(copy.path(), other, options(true), true, kStagedUuid, GetParam().form);
    EXPECT_TRUE(next.staging.drain({}));
    EXPECT_TRUE(eventually([&] { return next.staging.usage().blocks == 0; }));
    EXPECT_EQ(other.object(kBlock), bytes);
  }
  void expect_in_store(Stage& s, const std::string& bytes) {
    store_.hold(false);
    EXPECT_TRUE(s.staging.drain({}));
    s.staging.stop();
    EXPECT_EQ(store_.object(kBlock), bytes);
    EXPECT_FALSE(fs::exists(s.file(kBlock)));
    EXPECT_EQ(s.staging.usage().bytes, 0u);
    EXPECT_EQ(s.value("staging_blocks"), 0);
    EXPECT_EQ(s.value("staging_block_bytes"), 0);
    EXPECT_EQ(s.value("staging_block_errors"), 0);
  }

  TempDir dir_;
  FakeStore store_;
  std::optional<Stage> first_;
};

INSTANTIATE_TEST_SUITE_P(Ways, StagingAgain,
                         ::testing::Values(Way{"plain"}, Way{"sealed", BlockForm::sealed},
                                           Way{"journal", BlockForm::plain, true}),
                         [](const auto& info) { return info.param.name; });

TEST_P(StagingAgain, WhileItWaits) {
  Stage& s = ready();
  store_.set_open(false);
  store_.hold(false);
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  EXPECT_EQ(read(s), kNewer);
  expect_after_kill(kNewer);
  store_.set_open(true);
  expect_in_store(s, kNewer);
}

TEST_P(StagingAgain, WhileItIsUploaded) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  EXPECT_EQ(read(s), kOlder);
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  EXPECT_EQ(read(s), kNewer);
  EXPECT_EQ(s.staging.usage().blocks, 1u);
  EXPECT_EQ(s.value("staging_block_bytes"), kBytes);
  expect_after_kill(kNewer);
  store_.let_one_pass();
  ASSERT_TRUE(store_.wait_for_tries(2)) << "the newer follows";
  EXPECT_EQ(store_.object(kBlock), kOlder);
  EXPECT_EQ(read(s), kNewer);
  expect_after_kill(kNewer);
  expect_in_store(s, kNewer);
  expect_after_kill(kNewer);
}

TEST_P(StagingAgain, TwiceWhileItIsUploaded) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, pattern(kBytes, 3)));
  ASSERT_TRUE(add(s, kNewer));
  expect_in_store(s, kNewer);
  EXPECT_EQ(store_.tries, 2);
}

// A journal notes what is done a little later.
TEST_P(StagingAgain, KilledRightAfterTheUpload) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  store_.let_one_pass();
  ASSERT_TRUE(eventually([&] { return !s.staging.holds(kBlock); }));
  ASSERT_TRUE(add(s, kNewer));
  ASSERT_TRUE(store_.wait_for_tries(2));
  store_.let_one_pass();
  ASSERT_TRUE(eventually([&] { return !s.staging.holds(kBlock) && !fs::exists(s.file(kBlock)); }));
  expect_after_kill(kNewer);
}

TEST_P(StagingAgain, AfterAFailureOfTheUpload) {
  Stage& s = ready();
  store_.set_open(false);
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  store_.let_one_pass();
  ASSERT_TRUE(store_.wait_for_tries(2));
  store_.set_open(true);
  expect_in_store(s, kNewer);
  EXPECT_EQ(store_.order.back(), kBlock);
}

TEST_P(StagingAgain, RemovedAndStagedWhileItIsUploaded) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  EXPECT_TRUE(s.staging.remove(kBlock)) << "its object is removed when the upload has ended";
  ASSERT_TRUE(add(s, kNewer));
  EXPECT_EQ(read(s), kNewer);
  expect_after_kill(kNewer);
  store_.let_one_pass();
  ASSERT_TRUE(store_.wait_for_tries(2));
  EXPECT_EQ(store_.object(kBlock), "");
  expect_in_store(s, kNewer);
}

// Nobody waits for a store that takes long to remove.
TEST_P(StagingAgain, StagedAndRemovedWhileTheOldersObjectIsRemoved) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  store_.hold_removes(true);
  EXPECT_TRUE(s.staging.remove(kBlock));
  store_.let_one_pass();
  ASSERT_TRUE(store_.wait_for_removes(1));
  std::atomic<bool> done{false};
  std::jthread other([&] {
    EXPECT_TRUE(add(s, pattern(kBytes, 3)));
    EXPECT_TRUE(s.staging.remove(kBlock));
    EXPECT_TRUE(add(s, kNewer));
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  store_.hold_removes(false);
  other.join();
  EXPECT_EQ(read(s), kNewer);
  ASSERT_TRUE(store_.wait_for_tries(2));
  EXPECT_EQ(store_.removes, 2) << "of the upload that was held";
  EXPECT_EQ(store_.object(kBlock), "");
  expect_in_store(s, kNewer);
}

TEST_P(StagingAgain, StagedAndRemovedWhileItIsUploaded) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  EXPECT_TRUE(s.staging.remove(kBlock));
  EXPECT_EQ(read(s), "");
  expect_after_kill("");
  expect_in_store(s, "");
}

TEST_P(StagingAgain, RemovedAfterAnUploadOfTheOlderHasFailed) {
  Stage& s = ready();
  store_.set_open(false);
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  store_.hold(false);
  ASSERT_TRUE(store_.wait_for_tries(2));
  s.staging.stop();
  EXPECT_FALSE(s.staging.remove(kBlock)) << "the store may have it all the same";
}

TEST_P(StagingAgain, WhereNoMoreIsStaged) {
  StagingOptions spill = options(false);
  spill.accept = false;
  spill.spill = true;
  Stage& s = open(spill);
  ASSERT_FALSE(add(s, kOlder));
  ASSERT_TRUE(s.staging.add(kBlock, chain_of(kOlder), /*refused=*/true));
  ASSERT_TRUE(add(s, kNewer)) << "what waits must not come after it";
  expect_in_store(s, kNewer);
}

TEST_P(StagingAgain, InTheOtherForm) {
  const BlockForm other = GetParam().form == BlockForm::plain ? BlockForm::sealed : BlockForm::plain;
  first_.reset();
  fs::path older;
  {
    Stage theirs(dir_.path(), store_, options(false), true, kStagedUuid, other);
    ASSERT_TRUE(add(theirs, kOlder));
    older = theirs.file(kBlock);
  }
  store_.hold(true);
  Stage& s = open(at_once());
  ASSERT_TRUE(store_.wait_for_tries(1));
  ASSERT_TRUE(add(s, kNewer));
  EXPECT_FALSE(fs::exists(older));
  expect_after_kill(kNewer);
  store_.let_one_pass();
  ASSERT_TRUE(store_.wait_for_tries(2));
  expect_after_kill(kNewer);
  expect_in_store(s, kNewer);
}

// The other process's file is found when that has ended: it is older than ours.
TEST_P(StagingAgain, ByTwoProcessesInBothForms) {
  const BlockForm other = GetParam().form == BlockForm::plain ? BlockForm::sealed : BlockForm::plain;
  first_.reset();
  std::optional<Stage> theirs;
  theirs.emplace(dir_.path(), store_, options(false), true, kStagedUuid, other);
  ASSERT_TRUE(add(*theirs, kOlder));
  const fs::path older = theirs->file(kBlock);
  fs::last_write_time(older, fs::last_write_time(older) - std::chrono::seconds(1));
  Stage& s = open(options(false));
  ASSERT_TRUE(add(s, kNewer));
  theirs.reset();
  EXPECT_TRUE(eventually([&] { return !fs::exists(older); }));
  EXPECT_EQ(read(s), kNewer);
  expect_in_store(s, kNewer);
}

TEST_P(StagingAgain, TheStoreGetsItFromSomebodyElse) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  std::atomic<bool> given_up{false};
  std::jthread other([&] {
    EXPECT_TRUE(s.staging.supersede(kBlock));
    given_up = true;
  });
  ASSERT_TRUE(eventually([&] { return !s.staging.holds(kBlock); }));
  EXPECT_FALSE(given_up) << "an upload runs";
  store_.hold(false);
  other.join();
  {
    std::lock_guard lock(store_.mutex);
    store_.objects[kBlock] = kNewer;
  }
  expect_after_kill(kNewer);
  expect_in_store(s, kNewer);
}

TEST_P(StagingAgain, WhoeverWaitsForTheOldersUploadMayGiveUp) {
  Stage& s = ready();
  ASSERT_TRUE(add(s, kOlder));
  ASSERT_TRUE(store_.wait_for_tries(1));
  std::atomic<int> code{0};
  std::jthread other([&](const std::stop_token& stop) { code = code_of(s.staging.supersede(kBlock, stop)); });
  ASSERT_TRUE(eventually([&] { return !s.staging.holds(kBlock); }));
  other.request_stop();
  EXPECT_TRUE(eventually([&] { return code == EINTR; }));
  store_.hold(false);
}

// Four threads stage one name again and again while it is uploaded and read.
TEST_P(StagingAgain, ByManyThreads) {
  Stage& s = ready();
  store_.hold(false);
  std::mutex mutex;
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 25; i++) {
        const std::string bytes = pattern(kBytes, 10 + t * 100 + i);
        std::lock_guard one_at_a_time(mutex);
        ASSERT_TRUE(add(s, bytes));
        const std::string there = read(s);
        EXPECT_TRUE(there == bytes || (there.empty() && store_.object(kBlock) == bytes)) << t << " " << i;
        if (i % 5 == 4) s.staging.remove(kBlock);
      }
    });
  }
  threads.clear();
  ASSERT_TRUE(add(s, kNewer));
  expect_in_store(s, kNewer);
}

}  // namespace
}  // namespace cider::chunk
