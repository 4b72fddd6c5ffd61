// A volume in a Redis Cluster: how its keys are called, which node is asked, what happens when the volume
// moves to another node or its node dies. The suites of the operations run in a cluster, too.
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "meta/store/engines.h"
#include "meta/store/redis/client.h"
#include "meta/store/redis/keys.h"
#include "meta/testing/redis_cluster.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/test_volume.h"

namespace cider::meta {
namespace {

using redis::Reply;
using testing::RedisCluster;
using namespace std::chrono_literals;

class RedisClusterTest : public ::testing::Test {
 protected:
  void start(RedisCluster::Setup setup) { cluster_ = std::make_unique<RedisCluster>(std::move(setup)); }
  void TearDown() override {
    for (auto& client : clients_) client->stop();
  }

  std::unique_ptr<Store> open(int db, bool read_only = false, const std::string& options = {}) const {
    auto store = open_store(cluster_->url(db) + "?max-retry-backoff=500ms" + options, !read_only, read_only);
    if (!store) throw std::runtime_error(store.error().to_string());
    return *std::move(store);
  }
  void format(int db) const {
    Volume volume;
    volume.name = "clustered";
    volume.storage = "mem";
    volume.trash_days = 0;
    volume.enable_acl = true;
    ASSERT_TRUE(format_volume(*open(db), &volume));
  }
  Meta& client(int db) {
    auto store = open(db);
    Volume volume = load_volume(*store).value();
    MetaOptions options = {.background_jobs = false, .max_deletes = 1};
    auto meta = std::make_unique<Meta>(std::move(store), volume, options);
    DataCallbacks data;
    data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
    if (!meta->start(data)) throw std::runtime_error("the client does not start");
    return *clients_.emplace_back(std::move(meta));
  }
  std::set<std::string> keys(size_t node, const std::string& pattern = "*") const {
    const Reply found = cluster_->run(node, "KEYS", pattern);
    std::set<std::string> out;
    for (size_t i = 0; i < found.size(); ++i) out.emplace(found[i].text());
    return out;
  }
  static std::set<std::string> names(Meta& meta, Ino dir) {
    std::set<std::string> out;
    for (DirCursor cursor; !cursor.at_end;) {
      auto page = meta.list_dir(dir, &cursor, 1000, true);
      if (!page) throw std::runtime_error(page.error().to_string());
      for (const ListedEntry& entry : *page) {
        EXPECT_TRUE(entry.attr) << entry.name;
        out.insert(entry.name);
      }
    }
    return out;
  }
  void expect_sound(int db) const {
    auto dump = testing::dump_redis(cluster_->url(db));
    ASSERT_TRUE(dump) << dump.error().to_string();
    for (const std::string& problem : testing::inconsistencies(*dump)) ADD_FAILURE() << problem;
  }

  std::unique_ptr<RedisCluster> cluster_;
  std::vector<std::unique_ptr<Meta>> clients_;
};

Ino make(Meta& meta, Ino parent, const std::string& name, FileType type = FileType::file) {
  auto made = meta.mknod(Caller{}, parent, name, NewNode{type, 0755, 0, {}});
  EXPECT_TRUE(made) << name << ": " << made.error().to_string();
  return made ? made->ino : 0;
}

// Threads that make files, and rename and remove some, each in a directory of its own, and know what must be
// there.
class Load {
 public:
  enum class Kind { all, makes_only };
  Load(std::vector<Meta*> clients, const std::string& home, Kind kind = Kind::all)
      : clients_(std::move(clients)), kind_(kind), names_(clients_.size()) {
    for (size_t i = 0; i < clients_.size(); ++i)
      dirs_.push_back(make(*clients_[i], kRootIno, home + std::to_string(i), FileType::directory));
    for (size_t i = 0; i < clients_.size(); ++i) threads_.emplace_back([this, i] { work(i); });
  }
  // Until each thread has done so many more rounds.
  void go_on(size_t rounds) const {
    for (size_t i = 0; i < clients_.size(); ++i) {
      for (const size_t end = done(i) + rounds; done(i) < end;) std::this_thread::sleep_for(1ms);
    }
  }
  size_t done(size_t i) const { return done_[i]; }
  void stop() {
    stopped_ = true;
    threads_.clear();
  }
  size_t size() const { return clients_.size(); }
  Ino dir(size_t i) const { return dirs_[i]; }
  const std::set<std::string>& names(size_t i) const { return names_[i]; }  // once it was stopped

 private:
  void work(size_t i) {
    Meta& meta = *clients_[i];
    for (size_t n = 0; !stopped_; ++n) {
      const std::string name = "f" + std::to_string(n);
      make(meta, dirs_[i], name);
      if (kind_ == Kind::makes_only) {
        names_[i].insert(name);
        ++done_[i];
        continue;
      }
      EXPECT_EQ(code_of(meta.rename(Caller{}, dirs_[i], name, dirs_[i], "r" + name, 0)), 0) << name;
      names_[i].insert("r" + name);
      if (n % 3 == 0) {
        EXPECT_EQ(code_of(meta.unlink(Caller{}, dirs_[i], "r" + name)), 0) << name;
        names_[i].erase("r" + name);
      }
      ++done_[i];
    }
  }

  const std::vector<Meta*> clients_;
  const Kind kind_;
  std::vector<Ino> dirs_;
  std::vector<std::set<std::string>> names_;
  std::array<std::atomic<size_t>, 8> done_{};
  std::atomic<bool> stopped_{false};
  std::vector<std::jthread> threads_;
};

TEST_F(RedisClusterTest, every_key_begins_with_the_database_in_braces) {
  start({});
  format(2);
  Meta& meta = client(2);
  const Ino dir = make(meta, kRootIno, "dir", FileType::directory);
  const Ino file = make(meta, dir, "file");
  const Ino link = meta.mknod(Caller{}, dir, "link", NewNode{FileType::symlink, 0777, 0, "file"})->ino;
  ASSERT_TRUE(meta.link(Caller{}, file, kRootIno, "second"));
  ASSERT_TRUE(meta.setxattr(Caller{}, file, "user.a", "b", XattrMode::set));
  const ChunkSlice slice{1, Slice{0, meta.next_slice_id().value(), 512, 0, 512}};
  ASSERT_TRUE(meta.write(file, std::span(&slice, 1), Time{1, 0}));
  std::promise<Status> locked;
  meta.flock(Caller{}, file, 7, LockKind::write, false, [&](Status done) { locked.set_value(done); });
  ASSERT_TRUE(locked.get_future().get());

  const size_t owner = cluster_->owner(2, 0);
  const uint64_t sid = meta.store().list_sessions()->front().sid;
  std::set<std::string> want;
  for (const char* name :
       {"setting", "allSessions", "sessionInfos", "usedSpace", "totalInodes", "nextinode", "nextchunk",
        "nextsession", "dirDataLength", "dirUsedSpace", "dirUsedInodes", "i1", "d1"})
    want.insert("{2}" + std::string(name));
  for (Ino ino : {dir, file, link}) want.insert("{2}i" + std::to_string(ino));
  want.insert("{2}d" + std::to_string(dir));
  want.insert("{2}s" + std::to_string(link));
  want.insert("{2}p" + std::to_string(file));
  want.insert("{2}x" + std::to_string(file));
  want.insert("{2}c" + std::to_string(file) + "_1");
  want.insert("{2}lockf" + std::to_string(file));
  want.insert("{2}locked" + std::to_string(sid));
  std::set<std::string> found = keys(owner);
  std::erase_if(found, [](const std::string& key) { return key.starts_with("{2}opid:"); });
  EXPECT_EQ(found, want);
  const Reply locks = cluster_->run(owner, "SMEMBERS", "{2}locked" + std::to_string(sid));
  EXPECT_EQ(locks[0].text(), "{2}lockf" + std::to_string(file));
  for (size_t i = 0; i < cluster_->size(); ++i) EXPECT_TRUE(i == owner || keys(i).empty()) << i;
}

TEST_F(RedisClusterTest, a_volume_goes_alone) {
  start({.masters = 2});
  int other = 3;
  while (cluster_->owner(other, 0) != cluster_->owner(2, 0)) ++other;
  format(2);
  format(other);
  make(client(other), kRootIno, "stays");
  make(client(2), kRootIno, "goes");
  const size_t node = cluster_->owner(2, 0);
  const std::string foreign = "{2}notes";
  cluster_->run(node, "SET", foreign, "of somebody else");
  cluster_->run(cluster_->owner(other, 0), "SET", "{" + std::to_string(other) + "}i2foreign", "x");
  for (auto& meta : clients_) meta->stop();
  clients_.clear();
  const auto before = keys(node, "{" + std::to_string(other) + "}*");
  ASSERT_TRUE(open(2)->destroy_volume());
  EXPECT_EQ(keys(node, "{2}*"), std::set{foreign});
  EXPECT_EQ(keys(node, "{" + std::to_string(other) + "}*"), before);
}

TEST_F(RedisClusterTest, any_node_leads_to_the_volume) {
  start({});
  format(2);
  make(client(2), kRootIno, "there");
  for (size_t i = 0; i < cluster_->size(); ++i) {
    auto store = open_store(cluster_->url_of(i, 2), false, true);
    ASSERT_TRUE(store) << store.error().to_string();
    EXPECT_TRUE((*store)->load_setting()->has_value());
  }
  const std::string one = cluster_->url_of(1, 2).substr(8);
  auto store = open_store("redis://127.0.0.1:" + testing::free_port() + "," + one, false, true);
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_TRUE((*store)->load_setting()->has_value());
}

TEST_F(RedisClusterTest, several_hosts_must_be_a_cluster) {
  const std::string port = testing::free_port();
  testing::RedisServer server({"--port", port});
  auto store = open_store("redis://127.0.0.1:" + port + ",127.0.0.1:" + port + "/1", false, true);
  EXPECT_EQ(code_of(store), EINVAL);
  EXPECT_TRUE(store.error().message.contains("in no cluster")) << store.error().message;
}

TEST_F(RedisClusterTest, who_only_reads_may_ask_a_replica) {
  start({.masters = 1, .replicas = 1, .node_timeout = 2000ms});
  format(2);
  Meta& writer = client(2);
  make(writer, kRootIno, "there");
  auto store = open(2, true, "&route-read=replica");
  const auto reads_of = [&](size_t node) {
    const std::string stats(cluster_->run(node, "INFO", "commandstats").text());
    return stats.contains("cmdstat_hscan");
  };
  for (bool there = false; !there;) {  // a replica comes after
    DirCursor cursor;
    auto page = store->list_dir(kRootIno, &cursor, 10, true);
    ASSERT_TRUE(page) << page.error().to_string();
    there = page->size() == 1;
  }
  EXPECT_TRUE(reads_of(1));
  EXPECT_FALSE(reads_of(0));
  testing::RedisServer alone;
  EXPECT_EQ(code_of(open_store(alone.url() + "&route-read=replica", false, true)), EINVAL);
}

TEST_F(RedisClusterTest, a_cluster_that_is_down_is_waited_for) {
  start({.masters = 2, .node_timeout = 1000ms});
  format(2);
  Meta& meta = client(2);
  const size_t owner = cluster_->owner(2, 0);
  cluster_->kill(1 - owner);
  while (cluster_->run(owner, "CLUSTER", "INFO").text().contains("cluster_state:ok"))
    std::this_thread::sleep_for(10ms);
  auto made = std::async(std::launch::async, [&] { return make(meta, kRootIno, "patient"); });
  while (!cluster_->run(owner, "INFO", "errorstats").text().contains("CLUSTERDOWN"))
    std::this_thread::sleep_for(10ms);
  EXPECT_NE(made.wait_for(0ms), std::future_status::ready);
  cluster_->restart(1 - owner);
  EXPECT_NE(made.get(), 0u);
}

TEST(RedisClusterErrors, ask_to_come_again) {
  const auto error = [](const std::string& text) {
    redis::ReplyReader reader;
    EXPECT_TRUE(reader.feed("-" + text + "\r\n"));
    return redis::error_of(**reader.next()).code;
  };
  EXPECT_EQ(error("MOVED 866 127.0.0.1:7001"), EAGAIN);
  EXPECT_EQ(error("ASK 866 127.0.0.1:7001"), EAGAIN);
  EXPECT_EQ(error("TRYAGAIN Multiple keys request during rehashing of slot"), EAGAIN);
  EXPECT_EQ(error("ERR Script attempted to access a non local key in a cluster node script: f_1"), EAGAIN);
  EXPECT_EQ(
      error(
          "ERR Error running script (call to f_1): @user_script:8: @user_script: 8: Lua script attempted to "
          "access a non local key in a cluster node"),
      EAGAIN);
  EXPECT_EQ(error("CROSSSLOT Keys in request don't hash to the same slot"), EIO);
}

// A script may run where all its keys still are, and fail at one that it has itself made to vanish: here the
// hash of a directory with one name.
TEST_F(RedisClusterTest, commits_wait_while_the_slot_is_handed_over) {
  start({.masters = 2});
  format(2);
  Meta& meta = client(2);
  const Ino dir = make(meta, kRootIno, "dir", FileType::directory);
  make(meta, dir, "old");
  const size_t from = cluster_->owner(2, 0);
  std::future<int> renamed;
  cluster_->move(2, from, 1 - from, [&] {
    renamed = std::async(std::launch::async,
                         [&] { return code_of(meta.rename(Caller{}, dir, "old", dir, "new", 0)); });
    const auto refused = [&] {
      return cluster_->run(from, "INFO", "errorstats").text().contains("TRYAGAIN");
    };
    while (!refused() && renamed.wait_for(1ms) != std::future_status::ready) continue;
  });
  EXPECT_EQ(renamed.get(), 0);
  EXPECT_EQ(names(meta, dir), std::set<std::string>{"new"});
  expect_sound(2);
}

TEST_F(RedisClusterTest, a_volume_that_moves_takes_its_clients_along) {
  start({.masters = 2});
  format(2);
  Load load({&client(2), &client(2)}, "home");
  load.go_on(50);
  for (int i = 0; i < 2; ++i) {
    const size_t from = cluster_->owner(2, 0);
    cluster_->move(2, from, 1 - from, [] {});
    load.go_on(20);
    EXPECT_EQ(cluster_->owner(2, from), 1 - from);
    EXPECT_TRUE(keys(from, "{2}*").empty());
  }
  load.stop();
  Meta& other = client(2);
  for (size_t i = 0; i < load.size(); ++i) EXPECT_EQ(names(other, load.dir(i)), load.names(i));
  expect_sound(2);
}

// Replication is asynchronous: what was acknowledged in the last moment may be lost. So one load ends, and
// its work reaches the replica, before the master is killed under another.
TEST_F(RedisClusterTest, a_replica_takes_over_from_a_dead_master) {
  start({.masters = 3, .replicas = 3, .node_timeout = 2000ms});
  format(2);
  const std::vector<Meta*> both{&client(2), &client(2)};
  Load before(both, "before");
  Load during(both, "during", Load::Kind::makes_only);
  before.go_on(100);
  before.stop();
  const size_t master = cluster_->owner(2, 0);
  cluster_->replicate(2, master);
  cluster_->kill(master);
  during.go_on(1);  // may have been acknowledged by the dead
  std::vector<size_t> first;
  for (size_t i = 0; i < both.size(); ++i) first.push_back(during.done(i));
  during.go_on(50);
  during.stop();
  EXPECT_NE(cluster_->owner(2, master == 0 ? 1 : 0), master);
  Meta& other = client(2);
  for (size_t i = 0; i < both.size(); ++i) {
    EXPECT_EQ(names(other, before.dir(i)), before.names(i));
    const std::set<std::string> made = names(other, during.dir(i));
    for (size_t n = first[i]; n < during.done(i); ++n)
      EXPECT_TRUE(made.contains("f" + std::to_string(n))) << n;
  }
  expect_sound(2);
}

}  // namespace
}  // namespace cider::meta
