// What RocksDB's own database promises: one process, commits that survive it.
#include "meta/store/kv/rocksdb/rocks_database.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "meta/store/engines.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/testing/kv_testing.h"

namespace cider::meta::kv {
namespace {

using testing::ask;
using testing::write;

class RocksDatabase : public ::testing::Test {
 protected:
  RocksDatabase() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cider-rocks-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    path_ = folder_ / "db";
  }
  ~RocksDatabase() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::unique_ptr<KvStore> open(bool create = false) {
    auto database = open_rocksdb(path_, {.create = create});
    if (!database) throw std::runtime_error(database.error().to_string());
    return std::make_unique<KvStore>(*database);
  }
  // Runs in a child that keeps its database until it is killed; returns when it has said that it is done.
  template <class Work>
  pid_t in_child(Work work) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) throw std::runtime_error("pipe");
    const pid_t child = fork();
    if (child == 0) {
      auto store = open(true);
      work(*store);
      (void)!::write(pipe_ends[1], "x", 1);
      pause();
    }
    char told = 0;
    EXPECT_EQ(read(pipe_ends[0], &told, 1), 1);
    for (int end : pipe_ends) close(end);
    return child;
  }
  static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(RocksDatabase, keeps_what_was_committed) {
  {
    auto store = open(true);
    ASSERT_TRUE(store->create_volume("{}", testing::directory_attr(), {}));
    ASSERT_TRUE(write(*store, InsertNode{2, Attr{}}));
    ASSERT_TRUE(store->sync());
  }
  auto store = open();
  EXPECT_EQ(store->load_setting().value(), "{}");
  EXPECT_TRUE(ask(*store, AttrRead{2, field::all, {}}).value);
  EXPECT_EQ(store->describe(), "rocksdb://" + path_);
}

TEST_F(RocksDatabase, stores_of_one_process_share_it) {
  auto a = open(true);
  auto b = open();
  ASSERT_TRUE(write(*a, InsertNode{2, Attr{}}));
  EXPECT_TRUE(ask(*b, AttrRead{2, field::all, {}}).value);
  EXPECT_EQ(code_of(write(*b, InsertNode{2, Attr{}})), kInodeTaken);
}

TEST_F(RocksDatabase, changes_of_many_threads_lose_nothing) {
  auto a = open(true);
  auto b = open();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          EXPECT_TRUE((t % 2 ? a : b)->add_counter(Counter::next_trash, 1));
          if (i % 50 == 0) {
            EXPECT_TRUE(a->sync());
          }
        }
      });
    }
  }
  EXPECT_EQ(a->counter(Counter::next_trash), 800);
}

TEST_F(RocksDatabase, another_process_is_told_who_has_it) {
  const pid_t child = in_child([](Store& store) {
    (void)store.create_volume("{}", testing::directory_attr(), {});
    (void)write(store, InsertNode{2, Attr{}});
  });
  const auto refused = open_store("rocksdb://" + path_, false, false);
  ASSERT_EQ(code_of(refused), EBUSY);
  EXPECT_EQ(refused.error().message,
            "rocksdb://" + path_ + " is in use by another process; RocksDB serves one at a time");
  auto looker = open_rocksdb(path_, {.read_only = true});
  ASSERT_TRUE(looker) << looker.error().to_string();
  KvStore store(*looker);
  EXPECT_TRUE(*store.load_setting());
  EXPECT_EQ(code_of(write(store, InsertNode{3, Attr{}})), EROFS);
  end(child);
  EXPECT_TRUE(open_store("rocksdb://" + path_, false, false));
}

TEST_F(RocksDatabase, what_was_answered_survives_a_kill) {
  const pid_t child = in_child([](Store& store) {
    for (Ino ino = 2; ino < 200; ++ino) (void)write(store, InsertNode{ino, Attr{}});
  });
  end(child);
  auto store = open();
  for (Ino ino = 2; ino < 200; ++ino) EXPECT_TRUE(ask(*store, AttrRead{ino, field::all, {}}).value) << ino;
}

// What this process has read from files, from the page cache or not.
uint64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string name;
  uint64_t bytes = 0;
  io >> name >> bytes;
  return bytes;
}

// The filter of a table is larger than what one part of a cache may hold.
TEST_F(RocksDatabase, lookups_in_large_tables_read_little) {
  constexpr int kRounds = 5;
  constexpr int kKeys = 130'000;
  const auto key = [](int i) {
    std::string digits = std::to_string(i);
    return "k" + std::string(8 - digits.size(), '0') + digits;
  };
  for (int round = 0; round < kRounds; ++round) {  // each leaves a table, and four of them become one
    auto database = open_rocksdb(path_, {.create = true});
    ASSERT_TRUE(database);
    testing::Pairs pairs;
    for (int i = 0; i < kKeys; ++i) pairs[key(i * kRounds + round)] = "v";
    testing::put_pairs(**database, pairs);
  }
  auto database = open_rocksdb(path_, {});
  ASSERT_TRUE(database);
  const auto tables = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      count += entry.path().extension() == ".sst";
    return count;
  };
  for (int i = 0; i < 2000 && tables() > 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_LE(tables(), 2);
  const auto look_up = [&](int i) {
    const std::vector<std::string> keys = {key(i * 1009 % (kRounds * kKeys)), "absent" + std::to_string(i)};
    auto view = (*database)->view({});
    auto values = (*view)->get(keys);
    ASSERT_TRUE(values);
    EXPECT_TRUE((*values)[0]);
    EXPECT_FALSE((*values)[1]);
  };
  for (int i = 0; i < 1000; ++i) look_up(i);
  const uint64_t before = bytes_read();
  for (int i = 1000; i < 1200; ++i) look_up(i);
  EXPECT_LT((bytes_read() - before) / 200, 64U << 10) << "of each";
}

TEST_F(RocksDatabase, paths_are_checked) {
  EXPECT_EQ(code_of(open_rocksdb(path_, {})), ENOENT);
  EXPECT_EQ(code_of(open_rocksdb("relative", {.create = true})), EINVAL);
  EXPECT_EQ(code_of(open_rocksdb(folder_ / "no" / "db", {.create = true})), ENOENT);
  EXPECT_EQ(code_of(check_store_url("rocksdb://relative")), EINVAL);
  {
    auto made = open(true);
  }
  EXPECT_TRUE(open_rocksdb(path_ + "/", {}));
}

}  // namespace
}  // namespace cider::meta::kv
