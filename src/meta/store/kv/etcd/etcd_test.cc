// What is etcd's own: round trips, the limits of a transaction, servers and connections that go away.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/clock.h"
#include "meta/store/engines.h"
#include "meta/store/kv/etcd/etcd_database.h"
#include "meta/store/kv/etcd/etcd_url.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/testing/kv_testing.h"
#include "meta/testing/etcd_server.h"
#include "meta/testing/fake_data.h"
#include "meta/testing/tcp_proxy.h"

namespace cider::meta::kv {
namespace {

using meta::testing::EtcdServer;
using meta::testing::TcpProxy;
using std::chrono::milliseconds;
using testing::ask;
using testing::write;

TEST(EtcdUrl, parts) {
  const auto url =
      parse_etcd_url("etcd://me:p%40ss@a:1,b,[::1]:3/team/one?cacert=/ca&server-name=db").value();
  EXPECT_EQ(url.user, "me");
  EXPECT_EQ(url.password, "p@ss");
  EXPECT_EQ(url.endpoints, (std::vector<std::string>{"a:1", "b:2379", "[::1]:3"}));
  EXPECT_EQ(url.key_prefix(), "/team/one\xFD");
  EXPECT_EQ(url.tls->ca, "/ca");
  EXPECT_EQ(url.tls->server_name, "db");
  EXPECT_EQ(url.describe(), "etcd://a:1,b:2379,[::1]:3/team/one");
  EXPECT_EQ(parse_etcd_url("etcd://h").value().key_prefix(), "\xFD");
  EXPECT_FALSE(parse_etcd_url("etcd://h/?insecure-skip-verify=1").value().tls) << "as JuiceFS has it";
  for (const char* wrong : {"etcd://", "etcd:///p", "etcd://a,,b/p", "etcd://a/?cert=x", "etcd://a/?what=x",
                            "etcd://u:%zz@a/p"}) {
    EXPECT_EQ(code_of(check_store_url(wrong)), EINVAL) << wrong;
  }
}

// A volume on a server, each test's below a path of its own.
class Etcd : public ::testing::Test {
 protected:
  static std::string new_path() {
    static std::atomic<int> number = 0;
    return "/etcd-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  }
  std::unique_ptr<KvStore> open(const std::string& port) {
    last_ = open_etcd("etcd://127.0.0.1:" + port + path_, false).value();
    return std::make_unique<KvStore>(last_);
  }
  void make(EtcdServer& server) {
    store_ = open(server.port());
    database_ = last_;
    const Status made = store_->create_volume("{}", testing::directory_attr(), {});
    ASSERT_TRUE(made) << made.error().to_string();
    ASSERT_TRUE(write(*store_, InsertNode{2, Attr{}}));
  }
  uint64_t requests() const { return etcd_requests(*database_); }
  static Status grow(Store& store, std::stop_token stop = {}) {
    return store.run(
        [](Transaction& tx) -> Status {
          AttrRead& seen = tx.attr(2, field::length);
          TRY(tx.fetch());
          Attr values;
          values.length = seen.value->length + 1;
          tx.write(PatchNode{.ino = 2, .set = field::length, .values = values});
          return {};
        },
        std::move(stop));
  }
  static uint64_t length(Store& store) {
    uint64_t length = 0;
    EXPECT_TRUE(store.read(
        [&](Transaction& tx) -> Status {
          AttrRead& seen = tx.attr(2, field::all);
          TRY(tx.fetch());
          length = seen.value->length;
          return {};
        },
        {}));
    return length;
  }

  const std::string path_ = new_path();
  std::shared_ptr<Database> last_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(Etcd, what_this_client_knows_needs_no_flight) {
  make(EtcdServer::shared());
  uint64_t before = requests();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(grow(*store_));
  EXPECT_EQ(requests() - before, 10U);
  // A create: the parent's record, the name that a LOOKUP has missed, an inode that is new.
  ask(*store_, LookupRead{kRootIno, "f", field::all, {}, {}});
  before = requests();
  ASSERT_TRUE(store_->run(
      [](Transaction& tx) -> Status {
        tx.attr(kRootIno, field::access);
        tx.entry(kRootIno, "f");
        TRY(tx.fetch());
        tx.write(InsertNode{3, Attr{}});
        tx.write(InsertEntry{kRootIno, "f", {3, FileType::file}});
        tx.write(PatchNode{.ino = kRootIno, .touch = Time{1, 0}});
        return {};
      },
      {}));
  EXPECT_EQ(requests() - before, 1U);
  before = requests();
  ask(*store_, LookupRead{kRootIno, "f", field::all, {}, {}});
  EXPECT_EQ(requests() - before, 2U) << "read() and run(): each one flight for the entry and its inode";
}

TEST_F(Etcd, what_another_client_changed_is_found_by_the_commit) {
  make(EtcdServer::shared());
  auto other = open(EtcdServer::shared().port());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(grow(*store_));
    ASSERT_TRUE(grow(*other));
  }
  EXPECT_EQ(length(*store_), 10U);
  EXPECT_GT(store_->conflicts(), 0U);
}

// In one commit, by operations that don't know of each other: one takes a name for absent, one looks whether
// the directory is empty.
TEST_F(Etcd, a_hint_is_checked_though_a_scan_has_shown_better) {
  make(EtcdServer::shared());
  auto other = open(EtcdServer::shared().port());
  for (const bool scans_first : {false, true}) {
    const std::string name = scans_first ? "b" : "a";
    const std::string key = entry_key(2, name);
    ASSERT_TRUE(write(*other, InsertEntry{2, name, {3, FileType::file}}));
    const auto view = database_->working_view({}).value();
    view->expect_absent(key);
    const auto scan = [&] { EXPECT_FALSE(view->scan(entries_of(2), 2, true)->empty()); };
    if (scans_first) scan();
    EXPECT_EQ(view->get({&key, 1}).value().front(), std::nullopt);
    if (!scans_first) scan();
    Checks checks;
    checks.keys.insert(key);
    Changes changes;
    changes.keys[key] = "mine";
    EXPECT_EQ(database_->commit(*view, checks, changes, {}), Committed::conflict) << name;
  }
}

TEST_F(Etcd, commits_up_to_the_limit_of_a_transaction) {
  make(EtcdServer::shared());
  const auto insert = [&](Ino first, size_t n) {
    return store_->run(
        [&](Transaction& tx) -> Status {
          for (Ino ino = first; ino < first + n; ++ino) tx.write(InsertNode{ino, Attr{}});
          return {};
        },
        {});
  };
  EXPECT_TRUE(insert(1000, 125));
  EXPECT_EQ(code_of(insert(2000, 126)), EIO);
  EXPECT_FALSE(ask(*store_, AttrRead{2000, field::all, {}}).value);
}

TEST_F(Etcd, an_error_from_hints_is_checked) {
  make(EtcdServer::shared());
  auto other = open(EtcdServer::shared().port());
  ask(*store_, EntryRead{kRootIno, "f", {}});
  ASSERT_TRUE(write(*other, InsertEntry{kRootIno, "f", {2, FileType::file}}));
  const Status done = store_->run(
      [](Transaction& tx) -> Status {
        EntryRead& entry = tx.entry(kRootIno, "f");
        TRY(tx.fetch());
        return entry.value ? Status{} : fail(ENOENT);
      },
      {});
  EXPECT_TRUE(done);
}

TEST_F(Etcd, waits_for_a_server_that_restarts) {
  EtcdServer server;
  make(server);
  server.stop(SIGKILL);
  auto waiting = std::async(std::launch::async, [&] { return grow(*store_); });
  auto reading = std::async(std::launch::async, [&] { return store_->list_sessions(); });
  EXPECT_EQ(waiting.wait_for(milliseconds(300)), std::future_status::timeout);
  server.start();
  EXPECT_TRUE(waiting.get());
  EXPECT_TRUE(reading.get());
  EXPECT_EQ(length(*store_), 1U);
}

TEST_F(Etcd, who_waits_for_a_server_can_be_interrupted) {
  EtcdServer server;
  make(server);
  server.stop(SIGKILL);
  std::this_thread::sleep_for(milliseconds(200));  // until the client has seen it
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] { return grow(*store_, stop.get_token()); });
  auto reading = std::async(std::launch::async, [&] {
    return store_->read(
        [](Transaction& tx) -> Status {
          tx.attr(2, field::all);
          return tx.fetch();
        },
        stop.get_token());
  });
  EXPECT_EQ(waiting.wait_for(milliseconds(100)), std::future_status::timeout);
  stop.request_stop();
  // EIO where it was sent before the client saw that the server is gone.
  const int code = code_of(waiting.get());
  EXPECT_TRUE(code == EINTR || code == EIO) << code;
  EXPECT_EQ(code_of(reading.get()), EINTR);
  server.start();
  EXPECT_EQ(length(*store_), 0U);
}

TEST_F(Etcd, a_commit_whose_answer_is_lost_is_made_once) {
  make(EtcdServer::shared());
  TcpProxy proxy(EtcdServer::shared().port());
  auto through = open(proxy.port());
  ASSERT_TRUE(grow(*through));
  for (uint64_t i = 0; i < 5; ++i) {
    const uint64_t lost = proxy.replies_lost();
    proxy.lose_replies(true);
    auto growing = std::async(std::launch::async, [&] { return grow(*through); });
    while (proxy.replies_lost() == lost) std::this_thread::sleep_for(milliseconds(1));
    while (length(*store_) < 2 + i) std::this_thread::sleep_for(milliseconds(1));
    proxy.cut();
    proxy.lose_replies(false);
    const Status done = growing.get();
    EXPECT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(length(*store_), 2 + i);
  }
}

// The same, and others change the file before the answer is asked for again.
TEST_F(Etcd, a_lost_answer_is_told_from_a_conflict) {
  make(EtcdServer::shared());
  TcpProxy proxy(EtcdServer::shared().port());
  auto through = open(proxy.port());
  ASSERT_TRUE(grow(*through));
  for (uint64_t i = 0; i < 3; ++i) {
    proxy.lose_replies(true);
    auto growing = std::async(std::launch::async, [&] { return grow(*through); });
    while (length(*store_) < 2 + 2 * i) std::this_thread::sleep_for(milliseconds(1));
    ASSERT_TRUE(grow(*store_));
    proxy.cut();
    proxy.lose_replies(false);
    EXPECT_TRUE(growing.get());
    EXPECT_EQ(length(*store_), 3 + 2 * i);
  }
}

TEST_F(Etcd, a_client_that_ends_leaves_no_record) {
  make(EtcdServer::shared());
  {
    auto other = open(EtcdServer::shared().port());
    ASSERT_TRUE(grow(*other));
    last_.reset();
  }
  size_t records = 0;
  for (const auto& [key, value] : testing::all_pairs(*database_)) records += key[0] == 'O' ? 1 : 0;
  EXPECT_EQ(records, 1U);
  ASSERT_TRUE(store_->destroy_volume());
  const auto left = testing::all_pairs(*database_);
  EXPECT_LE(left.size(), 1U) << "but the record of this commit";
}

TEST_F(Etcd, passwords) {
  EtcdServer server;
  const std::string tool = "ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:" + server.port() + " ";
  const std::string quiet = " >/dev/null 2>&1";
  if (std::system((tool + "version" + quiet).c_str()) != 0) GTEST_SKIP() << "there is no etcdctl";
  for (const char* step : {"user add root:secret", "user grant-role root root", "auth enable"})
    ASSERT_EQ(std::system((tool + step + quiet).c_str()), 0) << step;
  const std::string rest = "@127.0.0.1:" + server.port() + path_;
  EXPECT_EQ(code_of(open_etcd("etcd://root:wrong" + rest, false)), EACCES);
  auto database = open_etcd("etcd://root:secret" + rest, false);
  ASSERT_TRUE(database) << database.error().to_string();
  KvStore store(*database);
  EXPECT_TRUE(store.create_volume("{}", testing::directory_attr(), {}));
  EXPECT_EQ(store.load_setting().value(), "{}");
}

}  // namespace
}  // namespace cider::meta::kv
