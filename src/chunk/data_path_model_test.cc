// Random reads, writes, truncates and flushes from several threads against an array of bytes, with a store
// and a catalog that fail and dawdle. A failure names its seed; CIDER_SEED=n runs that one, CIDER_SEEDS=n so
// many.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using Op = object::testing::FaultyStore::Op;
using Call = object::testing::FaultyStore::Call;
using StoreVerdict = object::testing::FaultyStore::Verdict;

unsigned number_from(const char* variable, unsigned otherwise) {
  const char* set = std::getenv(variable);
  return set ? static_cast<unsigned>(std::atoi(set)) : otherwise;
}

// One file as it must look. Each thread works on files of its own, so that it always knows what to expect;
// the threads meet in the pools, the budget and the fetcher.
class Actor {
 public:
  Actor(Harness& h, Ino ino, unsigned seed) : h_(h), ino_(ino), random_(seed) {
    // Near the end of the first chunk, so that many operations cross it.
    base_ = random_() % 2 ? kChunkSize - 300'000 : 0;
    if (base_) h_.catalog.truncate(ino_, base_);
  }

  void step() {
    switch (random_() % 20) {
      case 0:
        flush();
        break;
      case 1:
        truncate();
        break;
      case 2:
        h_.data.flush_in_background(ino_);
        break;
      case 3:
        h_.data.invalidate(ino_);
        break;
      case 4:
        ASSERT_TRUE(h_.data.fsync(ino_, {}));
        break;
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        append();
        break;
      case 10:
      case 11:
      case 12:
      case 13:
        overwrite();
        break;
      default:
        read();
        break;
    }
  }

  void finish() {
    flush();
    auto bytes = h_.read_committed(ino_, base_, 4 << 20);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    compare(*bytes, 0, "committed");
  }

 private:
  void write(size_t at, size_t len) {
    std::string bytes = pattern(len, random_());
    ASSERT_TRUE(h_.write(ino_, base_ + at, bytes));
    if (model_.size() < at + len) model_.resize(at + len, '\0');
    model_.replace(at, len, bytes);
  }
  size_t length() {
    size_t most[] = {100, 5000, 70'000, 200'000};
    return 1 + random_() % most[random_() % 4];
  }
  void append() { write(model_.size() > 1'000'000 ? random_() % 1'000'000 : model_.size(), length()); }
  void overwrite() { write(random_() % 1'000'000, length()); }
  void flush() { ASSERT_TRUE(h_.data.flush(ino_, {})); }

  void truncate() {
    size_t to = random_() % (model_.size() + 1000);
    const bool fails = random_() % 4 == 0;
    Status cut = h_.data.truncate(ino_, base_ + to, {}, [&]() -> Status {
      if (fails) return fail(EPERM);
      h_.catalog.truncate(ino_, base_ + to);
      return {};
    });
    ASSERT_EQ(code_of(cut), fails ? EPERM : 0);
    if (!fails) model_.resize(to, '\0');
  }

  void read() {
    size_t at = random_() % (model_.size() + 1000);
    auto size = static_cast<uint32_t>(length());
    auto bytes = h_.read(ino_, base_ + at, size, random_() % 3);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    size_t expected = at < model_.size() ? std::min<size_t>(size, model_.size() - at) : 0;
    ASSERT_EQ(bytes->size(), expected);
    compare(*bytes, at, "read");
  }

  void compare(const std::string& bytes, size_t at, const char* what) {
    std::string_view expected = std::string_view(model_).substr(std::min(at, model_.size()), bytes.size());
    auto [got, want] = std::mismatch(bytes.begin(), bytes.end(), expected.begin(), expected.end());
    ASSERT_TRUE(got == bytes.end() && want == expected.end())
        << what << " of inode " << ino_ << " differs at "
        << base_ + at + static_cast<size_t>(got - bytes.begin());
  }

  Harness& h_;
  const Ino ino_;
  std::mt19937 random_;
  uint64_t base_ = 0;
  std::string model_;
};

void run(unsigned seed) {
  SCOPED_TRACE("CIDER_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  Harness h(HarnessOptions{.budget = size_t{4} << (20 + random() % 4),
                           .block_size = random() % 2 ? 64u << 10 : 256u << 10,
                           .compression = std::array{"none", "lz4", "zstd"}[seed % 3]});
  std::mutex mutex;
  auto dice = [&] {
    std::lock_guard lock(mutex);
    return random();
  };
  h.store.set_rule([&](const Call& call) -> StoreVerdict {
    auto n = dice();
    bool fails = n % 10 == 0 && (call.op == Op::put || call.op == Op::get);
    return {.code = fails ? EIO : 0, .delay = Millis(n / 10 % 8 == 0 ? 2 : 0)};
  });
  h.catalog.set_rule([&](Ino, auto) {
    auto n = dice();
    return MemoryCatalog::Verdict{n % 25 == 0 ? EIO : 0, n % 2 == 0};
  });
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; t++) {
    threads.emplace_back([&h, t, seed] {
      Actor actor(h, 100 + t, seed * 10 + t);
      for (int i = 0; i < 60 && !::testing::Test::HasFatalFailure(); i++) actor.step();
      if (::testing::Test::HasFatalFailure()) return;
      actor.finish();
    });
  }
}

TEST(DataPathModel, BehavesLikeAnArrayOfBytes) {
  if (std::getenv("CIDER_SEED")) {
    run(number_from("CIDER_SEED", 0));
    return;
  }
  unsigned seeds = number_from("CIDER_SEEDS", 8);
  for (unsigned seed = 0; seed < seeds && !HasFatalFailure(); seed++) {
    run(seed);
  }
}

// Several threads on one file: each writes its own stripes, all read everything. A stripe shows its owner's
// writes, whole.
TEST(DataPathModel, OneFileManyWriters) {
  Harness h(HarnessOptions{.budget = 8 << 20});
  constexpr size_t kStripe = 10'000;
  constexpr size_t kThreads = 4;
  constexpr Ino kIno = 3;
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(t));
        std::vector<std::string> mine(40);
        for (int i = 0; i < 150; i++) {
          size_t row = random() % mine.size();
          uint64_t off = (row * kThreads + t) * kStripe;
          mine[row] = pattern(kStripe, random());
          ASSERT_TRUE(h.write(kIno, off, mine[row]));
          if (random() % 10 == 0) {
            ASSERT_TRUE(h.data.flush(kIno, {}));
          }
          row = random() % mine.size();
          if (mine[row].empty()) continue;
          ASSERT_EQ(*h.read(kIno, (row * kThreads + t) * kStripe, kStripe, t), mine[row]);
        }
      });
    }
  }
  ASSERT_TRUE(h.data.flush(kIno, {}));
  EXPECT_EQ(*h.read(kIno, 0, 2'000'000), *h.read_committed(kIno, 0, 2'000'000));
}

}  // namespace
}  // namespace cider::chunk::testing
