// The memory budget under load: held, and without deadlock.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "chunk/testing/harness.h"
#include "object/forwarding_store.h"

namespace cider::chunk::testing {
namespace {

using Op = object::testing::FaultyStore::Op;
using Call = object::testing::FaultyStore::Call;
using StoreVerdict = object::testing::FaultyStore::Verdict;
using namespace std::chrono_literals;

// One write as FUSE does it: the next comes when the reply was sent.
Status write_and_wait(Harness& h, Ino ino, uint64_t off, std::string_view bytes) {
  TRY(h.write(ino, off, bytes));
  std::promise<void> writable;
  h.data.when_writable({}, [&] { writable.set_value(); });
  writable.get_future().wait();
  return {};
}

TEST(Memory, TinyBudgetManyWritersAndReadersNoDeadlock) {
  constexpr int kThreads = 32;
  constexpr size_t kLimit = 32 << 20;
  constexpr size_t kWrite = 256 << 10;
  Harness h(HarnessOptions{.budget = kLimit, .block_size = 16 << 20});
  const std::string piece = pattern(kWrite);
  constexpr Ino kOld = 1;
  for (uint64_t off = 0; off < (40 << 20); off += kWrite) ASSERT_TRUE(write_and_wait(h, kOld, off, piece));
  ASSERT_TRUE(h.data.flush(kOld, {}));

  h.store.set_rule([](const Call& call) { return StoreVerdict{.delay = Millis(call.n % 7)}; });
  std::atomic<bool> done{false};
  size_t highest = 0;
  std::jthread watch([&] {
    while (!done) {
      highest = std::max(highest, h.budget.used());
      std::this_thread::sleep_for(200us);
    }
  });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        Ino ino = 100 + static_cast<Ino>(t);
        for (uint64_t i = 0; i < 16; i++) ASSERT_TRUE(write_and_wait(h, ino, i * kWrite, piece));
        ASSERT_TRUE(h.data.flush(ino, {}));
      });
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(t));
        for (int i = 0; i < 30; i++) {
          uint64_t off = t % 2 ? static_cast<uint64_t>(i) * kWrite : random() % 150 * kWrite;
          auto bytes = h.read(kOld, off, kWrite, static_cast<uint64_t>(t));
          ASSERT_TRUE(bytes) << bytes.error().to_string();
          ASSERT_EQ(*bytes, piece);
        }
      });
    }
  }
  done = true;
  watch.join();
  EXPECT_LE(highest, kLimit + kThreads * kWrite) << "in MiB: " << (highest >> 20);
  for (int t = 0; t < kThreads; t++) EXPECT_EQ(*h.read(100 + static_cast<Ino>(t), 3 * kWrite, kWrite), piece);
}

TEST(Memory, StalledStoreHoldsWritersButNotReadersOfBufferedData) {
  Harness h(HarnessOptions{.budget = 32 << 20, .block_size = 4 << 20});
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  const std::string piece = pattern(1 << 20);
  std::atomic<int> answered{0};
  int sent = 0;
  bool going = true;
  while (sent < 100 && going) {
    ASSERT_TRUE(h.write(5, static_cast<uint64_t>(sent) << 20, piece));
    h.data.when_writable({}, [&] { answered++; });
    sent++;
    going = eventually([&] { return answered == sent; }, 500ms);  // below the full stop a delay is 20 ms
  }
  EXPECT_GE(sent, 20);
  EXPECT_LE(sent, 26);  // 75 % of 32 MiB
  EXPECT_EQ(*h.read(5, 0, 1 << 20), piece);
  EXPECT_EQ(*h.read(5, static_cast<uint64_t>(sent - 1) << 20, 1 << 20), piece);
  h.store.release();
  for (int i = 0; i < 2000 && answered != sent; i++) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(answered, sent);
  ASSERT_TRUE(h.data.flush(5, {}));
}

TEST(Memory, ReadersWaitForMemoryAndGetTheirShare) {
  constexpr size_t kLimit = 32 << 20;
  Harness h(HarnessOptions{.budget = kLimit, .block_size = 4 << 20});
  const std::string piece = pattern(1 << 20);
  for (uint64_t i = 0; i < 64; i++) ASSERT_TRUE(write_and_wait(h, 1, i << 20, piece));
  ASSERT_TRUE(h.data.flush(1, {}));
  // Writers take all they may; the store stalls for writes and is slow for reads.
  h.store.set_rule(
      [](const Call& call) { return StoreVerdict{.delay = Millis(20), .hang = call.op == Op::put}; });
  for (uint64_t i = 0; i < 25; i++) ASSERT_TRUE(h.write(2, i << 20, piece));
  std::atomic<size_t> highest{0};
  std::vector<std::jthread> readers;
  for (uint64_t t = 0; t < 32; t++) {
    readers.emplace_back([&, t] {
      for (uint64_t i = 0; i < 2; i++) {
        auto chain = h.data.read(1, t, 64 << 20, (t * 2 + i) << 20, 1 << 20, {});
        size_t used = h.budget.used();
        for (size_t seen = highest; seen < used && !highest.compare_exchange_weak(seen, used);) {
        }
        ASSERT_TRUE(chain);
        ASSERT_EQ(total_size(*chain), piece.size());
      }
    });
  }
  readers.clear();
  EXPECT_LE(highest, kLimit + (2 << 20)) << "in MiB: " << (highest >> 20);
}

// A driver whose requests hold memory of their own, and end when they are let go.
class BufferingStore final : public object::ForwardingStore {
 public:
  static constexpr size_t kBuffer = 256 << 10;

  BufferingStore() : ForwardingStore(std::move(*object::open_store({"mem", ""}))) {}
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    const BudgetCharge held(budget, std::min(out.size(), kBuffer));
    running++;
    let_go.wait(false);
    running--;
    return inner().get_in_order(key, offset, out, arrived, std::move(stop));
  }

  MemoryBudget* budget = nullptr;
  std::atomic<int> running{0};
  std::atomic<bool> let_go{false};
};

TEST(Memory, ReadsLeaveRoomForTheBuffersOfTheirRequests) {
  constexpr size_t kLimit = 32 << 20;
  constexpr size_t kEach = (1 << 20) + BufferingStore::kBuffer;
  constexpr int kMany = 25;  // that fit by themselves
  HarnessOptions options{
      .budget = kLimit, .block_size = 1 << 20, .store = std::make_unique<BufferingStore>()};
  auto& store = static_cast<BufferingStore&>(*options.store);
  options.data.max_readahead = 0;
  Harness h(std::move(options));
  store.budget = &h.budget;
  const std::string piece = pattern(1 << 20);
  for (uint64_t i = 0; i < 64; i++) ASSERT_TRUE(write_and_wait(h, 1, i << 20, piece));
  ASSERT_TRUE(h.data.flush(1, {}));
  ASSERT_TRUE(eventually([&] { return h.budget.used() == 0; })) << h.budget.used();
  const auto read = [&](uint64_t off, uint32_t size) {
    EXPECT_TRUE(h.data.read(1, off, 64 << 20, off, size, {}));
  };

  std::jthread one([&] { read(60 << 20, 1 << 20); });
  ASSERT_TRUE(eventually([&] { return store.running == 1; }));
  EXPECT_EQ(h.budget.used(), kEach);
  std::jthread many([&] { read(8 << 20, kMany << 20); });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(store.running, 1);
  EXPECT_LE(h.budget.used(), kLimit);
  store.let_go = true;
  store.let_go.notify_all();
  one.join();
  many.join();
  h.data.stop();
  EXPECT_EQ(h.budget.used(), 0u);
}

TEST(Memory, HeldCompletionsAreCalledOnceOnStopRequest) {
  Harness h(HarnessOptions{.budget = 8 << 20});
  h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
  for (uint64_t i = 0; i < 8; i++) ASSERT_TRUE(h.write(5, i << 20, pattern(1 << 20)));
  std::stop_source stop;
  std::atomic<int> called{0};
  h.data.when_writable(stop.get_token(), [&] { called++; });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(called, 0);
  stop.request_stop();
  EXPECT_EQ(called, 1);
  h.store.release();
  ASSERT_TRUE(h.data.flush(5, {}));
  EXPECT_EQ(called, 1);
}

// The bookkeeping of tiny writes is many times their size; it must not grow without bound while the store or
// the catalog stalls.
TEST(Memory, TinyWritesAreHeldBackToo) {
  for (bool store_stalls : {true, false}) {
    Harness h(HarnessOptions{.budget = 8 << 20});
    std::promise<void> go_on;
    if (store_stalls) {
      h.store.set_rule([](const Call& call) { return StoreVerdict{.hang = call.op == Op::put}; });
    } else {
      h.catalog.set_rule([gone_on = go_on.get_future().share()](Ino, auto) {
        gone_on.wait();
        return MemoryCatalog::Verdict{};
      });
    }
    std::atomic<int> answered{0};
    int sent = 0;
    while (sent < 60'000 && sent - answered < 1000) {
      ASSERT_TRUE(h.write(5, static_cast<uint64_t>(sent) * 1000, "x"));
      h.data.when_writable({}, [&] { answered++; });
      sent++;
    }
    EXPECT_LT(sent, 60'000);
    h.store.release();
    go_on.set_value();
    ASSERT_TRUE(h.data.flush(5, {}));
    for (int i = 0; i < 2000 && answered != sent; i++) std::this_thread::sleep_for(5ms);
    EXPECT_EQ(answered, sent);
    h.catalog.set_rule(nullptr);
  }
}

TEST(Memory, PressureSendsOffWhatIsStillGathered) {
  Harness h(HarnessOptions{.budget = 32 << 20, .block_size = 16 << 20});
  // 24 files of 1 MiB each: no block is full, and no time has passed, but half the budget is taken.
  for (Ino ino = 1; ino <= 24; ino++) ASSERT_TRUE(h.write(ino, 0, pattern(1 << 20)));
  EXPECT_TRUE(eventually([&] { return h.store.calls(Op::put) >= 8; }));
}

TEST(Memory, AllIsGivenBackAtTheEnd) {
  MemoryBudget budget(64 << 20);
  {
    auto store = std::move(*object::open_store({"mem", ""}));
    MemoryCatalog catalog;
    BlockStore blocks(*store, Layout{});
    DataPath data(blocks, catalog, budget, {});
    for (uint64_t i = 0; i < 20; i++) {
      Buffer buffer = Buffer::allocate(1 << 20, &budget);
      std::memset(buffer.mutable_data(), 1, buffer.size());
      ASSERT_TRUE(data.write(1, i << 20, std::move(buffer), {}));
    }
    ASSERT_TRUE(data.flush_all(10s));
    for (uint64_t i = 0; i < 20; i++) ASSERT_TRUE(data.read(1, 1, 20 << 20, i << 20, 1 << 20, {}));
    data.stop();
  }
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace cider::chunk::testing
