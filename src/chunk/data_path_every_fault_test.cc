// One failure of each kind at each request of a mixed load: nothing that was acknowledged is lost, nothing
// else shows up.
#include <gtest/gtest.h>

#include <map>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using object::testing::FaultyStore;

constexpr uint32_t kBlock = 64 << 10;
constexpr uint64_t kSpan = 5 * kBlock + 1000;

struct Kind {
  const char* name;
  FaultyStore::Verdict verdict;
};

const Kind kKinds[] = {
    {"refused", {.code = ECONNREFUSED}},
    {"broken", {.code = ECONNRESET}},
    {"slow down", {.code = EAGAIN}},
    {"timed out", {.code = ETIMEDOUT}},
    {"failed", {.code = EIO}},
    {"answer lost", {.code = ECONNRESET, .after = true}},
    {"late", {.delay = std::chrono::milliseconds(30)}},
};

// Writes, overwrites, truncates, flushes and reads a few files, each read compared with what it must be.
class Load {
 public:
  explicit Load(Harness& harness) : h_(harness) {}

  void run() {
    for (Ino ino = 1; ino <= 3; ino++) write(ino, 0, kSpan, ino);
    for (Ino ino = 1; ino <= 3; ino++) flush(ino);
    write(1, kBlock / 2, kBlock, 10);
    write(2, kSpan, 100, 11);
    read(1);
    truncate(3, kBlock + 17);
    flush(1);
    flush(2);
    h_.data.invalidate(1);
    read(1);
    read(2);
    write(3, 2 * kBlock, 3 * kBlock, 12);
    EXPECT_TRUE(h_.data.fsync(3, {}));
    for (Ino ino = 1; ino <= 3; ino++) read(ino);
    for (auto& [ino, content] : files_) {
      auto seen = h_.read_committed(ino, 0, static_cast<uint32_t>(content.size()));
      ASSERT_TRUE(seen) << seen.error().to_string();
      EXPECT_TRUE(*seen == content) << "inode " << ino;
    }
  }

 private:
  void write(Ino ino, uint64_t off, size_t size, uint64_t seed) {
    const std::string bytes = pattern(size, seed);
    ASSERT_TRUE(h_.write(ino, off, bytes));
    std::string& content = files_[ino];
    content.resize(std::max(content.size(), off + size), '\0');
    content.replace(off, size, bytes);
  }
  void flush(Ino ino) {
    Status flushed = h_.data.flush(ino, {});
    EXPECT_TRUE(flushed) << flushed.error().to_string();
  }
  void truncate(Ino ino, uint64_t length) {
    EXPECT_TRUE(h_.data.truncate(ino, length, {}, [&]() -> Status {
      h_.catalog.truncate(ino, length);
      return {};
    }));
    files_[ino].resize(length, '\0');
  }
  void read(Ino ino) {
    const std::string& content = files_[ino];
    auto seen = h_.read(ino, 0, static_cast<uint32_t>(content.size()));
    ASSERT_TRUE(seen) << seen.error().to_string();
    EXPECT_TRUE(*seen == content) << "inode " << ino;
  }

  Harness& h_;
  std::map<Ino, std::string> files_;
};

struct At {
  FaultyStore::Op op;
  int n;
};

void run_with(const Kind& kind, At at) {
  SCOPED_TRACE(std::string(kind.name) + " at request " + std::to_string(at.n) + " of kind " +
               std::to_string(static_cast<int>(at.op)));
  Harness h;
  h.store.set_rule([&](const FaultyStore::Call& call) {
    return call.op == at.op && call.n == at.n ? kind.verdict : FaultyStore::Verdict{};
  });
  Load(h).run();
}

class EveryFault : public ::testing::TestWithParam<Kind> {};

TEST_P(EveryFault, AtEveryRequest) {
  std::map<FaultyStore::Op, int> requests;
  {
    Harness h;
    Load(h).run();
    for (auto op : {FaultyStore::Op::get, FaultyStore::Op::put}) requests[op] = h.store.calls(op);
  }
  ASSERT_GE(requests[FaultyStore::Op::put], 20);
  ASSERT_GE(requests[FaultyStore::Op::get], 10);
  for (auto [op, count] : requests) {
    for (int n = 0; n < count && !HasFatalFailure(); n++) run_with(GetParam(), {op, n});
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryFault, ::testing::ValuesIn(kKinds), [](const auto& tested) {
  std::string name = tested.param.name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace cider::chunk::testing
