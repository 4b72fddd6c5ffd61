// Staging over doubles of the store and the clock. For tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "chunk/staging.h"
#include "chunk/testing/forms.h"
#include "chunk/testing/harness.h"

namespace cider::chunk::testing {

inline const std::string kStagedUuid = "e2150272-98fa-4947-966d-8a72ef8b41ee";

inline BufferChain chain_of(std::string_view text) {
  Buffer buffer = Buffer::allocate(text.size(), nullptr);
  std::memcpy(buffer.mutable_data(), text.data(), text.size());
  return {buffer.slice(0, text.size() / 2), buffer.slice(text.size() / 2, text.size() - text.size() / 2)};
}

struct FakeClock : Clock {
  Time now() const override { return from_nanos(nanos); }
  Monotonic::time_point monotonic() const override { return Monotonic::now(); }
  std::atomic<int64_t> nanos{to_nanos(Clock::system().now())};
};

// Where blocks are uploaded to. Closed, it fails every request.
struct FakeStore {
  StagingTarget target() {
    StagingTarget t;
    t.upload = [this](const BlockName& block, const BufferChain& data, std::stop_token) -> Status {
      std::unique_lock lock(mutex);
      tries++;
      EXPECT_TRUE(running.insert(block).second) << "two uploads of one name at once";
      changed.notify_all();
      changed.wait(lock, [&] { return !held || passes > 0; });
      if (held) passes--;
      running.erase(block);
      if (!open) return fail(EIO, "closed");
      std::string bytes;
      for (const Buffer& piece : data) bytes += piece.text();
      objects[block] = bytes;
      order.push_back(block);
      return {};
    };
    t.exists = [this](const BlockName& block) -> Result<bool> {
      std::lock_guard lock(mutex);
      return objects.contains(block);
    };
    t.remove = [this](const BlockName& block) {
      std::unique_lock lock(mutex);
      removes++;
      changed.notify_all();
      changed.wait(lock, [&] { return !removes_held; });
      objects.erase(block);
    };
    return t;
  }
  void set_open(bool value) {
    std::lock_guard lock(mutex);
    open = value;
  }
  void hold(bool value) {
    std::lock_guard lock(mutex);
    held = value;
    changed.notify_all();
  }
  void hold_removes(bool value) {
    std::lock_guard lock(mutex);
    removes_held = value;
    changed.notify_all();
  }
  // Of uploads that are held.
  void let_one_pass() {
    std::lock_guard lock(mutex);
    passes++;
    changed.notify_all();
  }
  // So many uploads have begun.
  bool wait_for_tries(int n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return tries >= n; });
  }
  bool wait_for_removes(int n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return removes >= n; });
  }
  std::string object(const BlockName& block) {
    std::lock_guard lock(mutex);
    return objects.contains(block) ? objects[block] : "";
  }
  size_t size() {
    std::lock_guard lock(mutex);
    return objects.size();
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool open = true;
  bool held = false;
  int passes = 0;
  int tries = 0;
  int removes = 0;
  bool removes_held = false;
  std::set<BlockName> running;
  std::map<BlockName, std::string> objects;
  std::vector<BlockName> order;
};

struct Stage {
  explicit Stage(const std::filesystem::path& folder, FakeStore& s, StagingOptions options, bool start = true,
                 const std::string& uuid = kStagedUuid, BlockForm form = BlockForm::plain)
      : dirs(std::make_shared<CacheDirs>(
            std::vector<std::string>{folder}, uuid,
            CacheDir::Options{"", 0600, 0, false, test_key(), form == BlockForm::sealed})),
        cache(dirs, {}, metrics),
        staging(dirs, &cache, s.target(), options, budget, metrics, clock) {
    if (start) staging.start();
  }
  bool add(const BlockName& block) { return staging.add(block, chain_of(pattern(block.bytes, block.slice))); }
  std::filesystem::path file(const BlockName& block) { return std::string((*dirs)[0].staging(block)); }
  double value(const char* name) { return metrics.counter(name).value(); }

  FakeClock clock;
  MetricSet metrics;
  MemoryBudget budget{64 << 20};
  std::shared_ptr<CacheDirs> dirs;
  DiskCache cache;
  Staging staging;
};

// Without a journal.
inline StagingOptions at_once() {
  StagingOptions options;
  options.journal.segments = 0;
  return options;
}

// Blocks stay staged until somebody asks for them.
inline StagingOptions later() {
  StagingOptions options = at_once();
  options.delay = std::chrono::hours(1);
  return options;
}

// Stages blocks of 50 000 bytes, numbered from 1, in a process that is killed once it has said of `enough`
// that they are staged. Answers the last of which it said so. `open` makes the child's Stage, `prepare` is
// called with it.
template <class Open, class Prepare>
uint64_t staged_until_killed(uint64_t enough, Open open, Prepare prepare) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    Stage s = open();
    prepare(s);
    for (uint64_t id = 1;; id++) {
      if (s.add({id, 0, 50'000})) (void)!::write(pipe[1], &id, sizeof id);
    }
  }
  ::close(pipe[1]);
  uint64_t acknowledged = 0;
  uint64_t id;
  while (acknowledged < enough && ::read(pipe[0], &id, sizeof id) == sizeof id) acknowledged = id;
  ::kill(child, SIGKILL);
  while (::read(pipe[0], &id, sizeof id) == sizeof id) acknowledged = id;
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return acknowledged;
}

// Four threads stage `rounds` blocks each, read them, and remove every third; the others get to the store.
inline void write_read_and_remove_many(Stage& s, FakeStore& store, uint64_t rounds) {
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 1; i <= rounds; i++) {
        const BlockName block{i * 4 + t, 0, 3000};
        ASSERT_TRUE(s.add(block));
        std::string out(100, '\0');
        auto read = s.staging.read(block, 7, std::as_writable_bytes(std::span(out)));
        ASSERT_TRUE(read);
        if (*read) {
          EXPECT_EQ(out, pattern(3000, block.slice).substr(7, 100));
        }
        if (i % 3 == 0 && !s.staging.remove(block)) {
          // On its way, or in the store: whoever removes the slice removes the object.
          store.target().remove(block);
        }
      }
    });
  }
  threads.clear();
  EXPECT_TRUE(s.staging.drain({}));
  EXPECT_TRUE(eventually([&] { return s.staging.usage().blocks == 0; }));
  for (uint64_t t = 0; t < 4; t++) {
    for (uint64_t i = 1; i <= rounds; i++) {
      const bool there = store.objects.contains({i * 4 + t, 0, 3000});
      EXPECT_EQ(there, i % 3 != 0) << i << " " << t;
    }
  }
}

}  // namespace cider::chunk::testing
