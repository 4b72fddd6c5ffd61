// Many threads, several stores on one file, a process that is killed, a disk that is full.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "meta/testing/sqlite_testing.h"

namespace cider::meta::sqlite {
namespace {

// Makes a file as the operation `create` would. The inode comes from the read set: the entry counts how many
// were made.
Status create(Store& store, Ino parent, const std::string& name, Ino ino) {
  return store.run(
      [&](Transaction& transaction) -> Status {
        AttrRead& directory = transaction.attr(parent, field::access);
        EntryRead& entry = transaction.entry(parent, name);
        TRY(transaction.fetch());
        if (!directory.value) return fail(ENOENT);
        if (entry.value) return fail(EEXIST);
        transaction.write(InsertNode{ino, file_attr(parent)});
        transaction.write(InsertEntry{parent, name, {ino, FileType::file}});
        transaction.write(PatchNode{parent, 0, {}, 1, {}, {}});
        transaction.write(AddUsage{4096, 1});
        transaction.write(AddDirStat{parent, {0, 4096, 1}});
        return {};
      },
      {});
}

Status remove(Store& store, Ino parent, const std::string& name) {
  return store.run(
      [&](Transaction& transaction) -> Status {
        EntryRead& entry = transaction.entry(parent, name);
        TRY(transaction.fetch());
        if (!entry.value) return fail(ENOENT);
        transaction.write(DeleteEntry{parent, name, *entry.value});
        transaction.write(DeleteNode{entry.value->ino});
        transaction.write(PatchNode{parent, 0, {}, -1, {}, {}});
        transaction.write(AddUsage{-4096, -1});
        transaction.write(AddDirStat{parent, {0, -4096, -1}});
        return {};
      },
      {});
}

// Everything that counts entries agrees with their number, and the file is sound.
void check(const std::string& path, size_t directories) {
  EXPECT_EQ(rows(path, "PRAGMA integrity_check"), std::vector<std::string>{"ok:text"});
  EXPECT_EQ(
      rows(path,
           "SELECT count(*) FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode=e.inode WHERE n.inode IS NULL"),
      std::vector<std::string>{"0:integer"});
  auto entries = rows(path, "SELECT count(*) FROM jfs_edge");
  EXPECT_EQ(rows(path, "SELECT value FROM jfs_counter WHERE name='totalInodes'"), entries);
  EXPECT_EQ(rows(path, "SELECT sum(used_inodes) FROM jfs_dir_stats"), entries);
  EXPECT_EQ(rows(path, "SELECT sum(nlink)-2*count(*) FROM jfs_node WHERE type=2 AND inode>=100"), entries);
  EXPECT_EQ(rows(path, "SELECT count(*) FROM jfs_node WHERE type=1"), entries);
  EXPECT_EQ(rows(path, "SELECT count(*) FROM jfs_dir_stats").front(),
            std::to_string(1 + directories) + ":integer");  // the root's, too
}

void make_directories(Store& store, size_t count) {
  for (Ino ino = 100; ino < 100 + count; ++ino) {
    ASSERT_TRUE(write(store, InsertNode{ino, directory_attr(0755, 1)}, CreateDirStat{ino}));
  }
}

// Random creates, removals and reads of few names; counts its changes.
void hammer(Store& store, unsigned seed, size_t directories, int steps, std::atomic<int>* changes) {
  std::mt19937 random(seed);
  for (int i = 0; i < steps; ++i) {
    Ino parent = 100 + random() % directories;
    std::string name = std::to_string(random() % 20);
    Ino ino = 1000 + seed * 1'000'000ULL + static_cast<Ino>(i);
    int code;
    switch (random() % 3) {
      case 0:
        code = code_of(create(store, parent, name, ino));
        ASSERT_TRUE(code == 0 || code == EEXIST) << code;
        break;
      case 1:
        code = code_of(remove(store, parent, name));
        ASSERT_TRUE(code == 0 || code == ENOENT) << code;
        break;
      default: {
        // One fetch is one instant: an entry and its inode are there together, or not at all.
        Status status = store.read(
            [&](Transaction& transaction) -> Status {
              LookupRead& lookup = transaction.lookup(parent, name, field::all);
              TRY(transaction.fetch());
              EXPECT_EQ(lookup.value.has_value(), lookup.attr.has_value());
              return {};
            },
            {});
        ASSERT_TRUE(status) << status.error().to_string();
        continue;
      }
    }
    if (code == 0) ++*changes;
  }
}

TEST(SqliteConcurrency, threads_of_one_store) {
  TestVolume volume;
  make_directories(*volume.store, 3);
  std::atomic<int> changes = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned seed = 1; seed <= 8; ++seed) {
      threads.emplace_back([&, seed] { hammer(*volume.store, seed, 3, 400, &changes); });
    }
  }
  EXPECT_GT(changes, 100);
  check(volume.path, 3);
}

TEST(SqliteConcurrency, two_stores_on_one_file) {
  TestVolume volume;
  make_directories(*volume.store, 3);
  auto other = open_store(volume.path);
  std::atomic<int> changes[2] = {0, 0};
  {
    std::vector<std::jthread> threads;
    for (unsigned seed = 1; seed <= 6; ++seed) {
      threads.emplace_back(
          [&, seed] { hammer(seed % 2 ? *volume.store : *other, seed, 3, 300, &changes[seed % 2]); });
    }
  }
  EXPECT_GT(changes[0], 50);
  EXPECT_GT(changes[1], 50);
  check(volume.path, 3);
}

// The listing of a snapshot that moves: names that stay are shown, whatever else changes.
TEST(SqliteConcurrency, listing_while_others_change) {
  TestVolume volume;
  Store& store = *volume.store;
  for (Ino ino = 1000; ino < 1200; ++ino) ASSERT_TRUE(create(store, 1, "stay" + std::to_string(ino), ino));
  std::atomic<bool> stop = false;
  std::jthread other([&] {
    for (Ino ino = 5000; !stop; ++ino) {
      ASSERT_TRUE(create(store, 1, "come" + std::to_string(ino), ino));
      ASSERT_TRUE(remove(store, 1, "come" + std::to_string(ino)));
      ASSERT_TRUE(create(store, 1, "zcome" + std::to_string(ino), ino));
    }
  });
  for (int round = 0; round < 10; ++round) {
    size_t stayed = 0;
    DirCursor cursor;
    while (!cursor.at_end) {
      auto page = store.list_dir(1, &cursor, 10, false).value();
      for (auto& listed : page) stayed += listed.name.starts_with("stay");
    }
    EXPECT_EQ(stayed, 200U);
  }
  stop = true;
}

// A name that moves to and fro is in one of two directories at every instant.
TEST(SqliteConcurrency, a_fetch_of_several_questions_is_one_instant) {
  TestVolume volume;
  ASSERT_TRUE(write(*volume.store, InsertEntry{1, "x", {7, FileType::file}}));
  std::atomic<bool> stop = false;
  std::jthread other([&] {
    for (Ino from = 1, to = 2; !stop; std::swap(from, to)) {
      Entry entry{7, FileType::file};
      ASSERT_TRUE(write(*volume.store, DeleteEntry{from, "x", entry}, InsertEntry{to, "x", entry}));
    }
  });
  for (int i = 0; i < 3000; ++i) {
    Status status = volume.store->read(
        [&](Transaction& transaction) -> Status {
          EntryRead& one = transaction.entry(1, "x");
          for (int between = 0; between < 10; ++between) transaction.attr(1, field::all);
          EntryRead& two = transaction.entry(2, "x");
          TRY(transaction.fetch());
          EXPECT_NE(one.value.has_value(), two.value.has_value());
          return {};
        },
        {});
    ASSERT_TRUE(status);
  }
  stop = true;
}

// A work that fails after its first write is undone alone; its neighbours in the group are not.
TEST(SqliteConcurrency, a_failure_undoes_only_its_own_writes) {
  TestVolume volume;
  make_directories(*volume.store, 1);
  std::atomic<int> made = 0, refused = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned id = 0; id < 8; ++id) {
      threads.emplace_back([&, id] {
        for (unsigned i = 0; i < 200; ++i) {
          std::string name = std::to_string(id) + "-" + std::to_string(i);
          // Every fifth takes inode 100, which is there, after it has written the entry.
          bool bad = i % 5 == 0;
          Status status = write(*volume.store, InsertEntry{100, name, {7, FileType::file}}, AddUsage{4096, 1},
                                AddDirStat{100, {0, 0, 1}}, PatchNode{100, 0, {}, 1, {}, {}},
                                InsertNode{bad ? 100 : 10'000 + id * 1000 + i, file_attr(100)});
          ASSERT_EQ(code_of(status), bad ? kInodeTaken : 0);
          ++(bad ? refused : made);
        }
      });
    }
  }
  EXPECT_EQ(made, 8 * 160);
  EXPECT_EQ(refused, 8 * 40);
  EXPECT_EQ(rows(volume.path, "SELECT count(*) FROM jfs_edge").front(), std::to_string(made) + ":integer");
  EXPECT_EQ(rows(volume.path, "SELECT value FROM jfs_counter WHERE name='totalInodes'").front(),
            std::to_string(made) + ":integer");
  EXPECT_EQ(rows(volume.path, "SELECT used_inodes FROM jfs_dir_stats WHERE inode=100").front(),
            std::to_string(made) + ":integer");
  EXPECT_EQ(rows(volume.path, "SELECT nlink FROM jfs_node WHERE inode=100").front(),
            std::to_string(made + 2) + ":integer");
}

TEST(SqliteConcurrency, a_waiting_operation_can_be_stopped) {
  TestVolume volume;
  std::atomic<bool> inside = false, go_on = false;
  std::jthread slow([&] {
    Status status = volume.store->run(
        [&](Transaction&) -> Status {
          inside = true;
          while (!go_on) std::this_thread::yield();
          return {};
        },
        {});
    EXPECT_TRUE(status);
  });
  while (!inside) std::this_thread::yield();
  std::stop_source source;
  std::atomic<bool> ran = false;
  std::jthread waiting([&] {
    Status status = volume.store->run(
        [&](Transaction&) -> Status {
          ran = true;
          return {};
        },
        source.get_token());
    EXPECT_EQ(code_of(status), EINTR);
  });
  // However early or late this comes, the slow one holds the writer, so the other cannot have begun.
  source.request_stop();
  waiting.join();
  EXPECT_FALSE(ran);
  go_on = true;
}

TEST(SqliteConcurrency, another_process_that_keeps_the_lock_is_an_error_in_the_end) {
  TestVolume volume;
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(volume.path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  auto store = open_sqlite(volume.path, {.busy_limit = std::chrono::milliseconds(50)}).value();
  EXPECT_EQ(code_of(store->add_counter(Counter::next_inode, 1)), ETIMEDOUT);
  EXPECT_EQ(store->counter(Counter::next_inode), 2);  // reading goes on
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(store->add_counter(Counter::next_inode, 1), 3);
  sqlite3_close(other);
}

// A child commits as fast as it can and tells each success; killed at any moment, all it told is there and
// nothing by halves.
TEST(SqliteConcurrency, kill_in_the_middle_of_commits) {
  TestVolume volume;
  make_directories(*volume.store, 2);
  volume.store.reset();
  std::mt19937 random(7);
  Ino next = 1000;
  for (int round = 0; round < 8; ++round) {
    int told[2];
    ASSERT_EQ(pipe(told), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open_store(volume.path);
      for (Ino ino = next;; ++ino) {
        if (!create(*store, 100 + ino % 2, std::to_string(ino), ino)) _exit(1);
        if (::write(told[1], &ino, sizeof ino) != sizeof ino) _exit(2);
      }
    }
    close(told[1]);
    Ino last = 0, ino;
    unsigned before_kill = 20 + random() % 300;
    for (unsigned i = 0; i < before_kill && read(told[0], &ino, sizeof ino) == sizeof ino; ++i) last = ino;
    kill(child, SIGKILL);
    while (read(told[0], &ino, sizeof ino) == sizeof ino) last = ino;
    close(told[0]);
    int status;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    check(volume.path, 2);
    EXPECT_EQ(rows(volume.path, "SELECT 1 FROM jfs_node WHERE inode=" + std::to_string(last)).size(), 1U);
    next = last + 10;
  }
}

// In a child, as the limit on the size of files counts for the whole process.
void fill_the_disk(const std::string& path) {
  signal(SIGXFSZ, SIG_IGN);
  auto store = open_store(path);
  rlimit limit{600 << 10, 600 << 10};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned id = 0; id < 4; ++id) {
      threads.emplace_back([&, id] {
        for (Ino i = 0; i < 3000; ++i) {
          Ino ino = 10'000 * (id + 1) + i;
          int code = code_of(create(*store, 100, std::to_string(ino), ino));
          if (code == ENOSPC) {
            ++refused;
            break;
          }
          if (code != 0) _exit(11);
        }
      });
    }
  }
  if (refused != 4) _exit(12);
  // Reading goes on.
  Status status = store->read(
      [](Transaction& transaction) -> Status {
        AttrRead& attr = transaction.attr(100, field::all);
        TRY(transaction.fetch());
        return attr.value ? Status() : fail(ENOENT);
      },
      {});
  _exit(status ? 0 : 13);
}

TEST(SqliteConcurrency, a_full_disk_is_ENOSPC_and_harms_nothing) {
  TestVolume volume;
  make_directories(*volume.store, 1);
  volume.store.reset();
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) fill_the_disk(volume.path);
  int status;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  check(volume.path, 1);
  EXPECT_NE(rows(volume.path, "SELECT count(*) FROM jfs_edge").front(), "0:integer");
  auto store = open_store(volume.path);
  EXPECT_TRUE(create(*store, 100, "after", 5));
}

TEST(SqliteConcurrency, sync_while_committing) {
  TestVolume volume;
  make_directories(*volume.store, 1);
  std::jthread writer([&] {
    for (Ino ino = 1000; ino < 1300; ++ino) ASSERT_TRUE(create(*volume.store, 100, std::to_string(ino), ino));
  });
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(volume.store->sync());
      });
    }
  }
  // A foreign checkpoint that empties the log, and one that is the last to close, leave it usable.
  alter(volume.path, "PRAGMA wal_checkpoint(TRUNCATE)");
  EXPECT_TRUE(volume.store->sync());
  writer.join();
  check(volume.path, 1);
}

}  // namespace
}  // namespace cider::meta::sqlite
