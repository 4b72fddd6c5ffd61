// How often a client waits for the servers of etcd and TiKV, once the kernel has looked up what an operation
// names. docs/engines.md has the numbers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "meta/store/kv/etcd/etcd_database.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/etcd_server.h"
#include "meta/testing/test_volume.h"
#include "meta/testing/tikv_server.h"

namespace cider::meta::kv {
namespace {

using meta::testing::EtcdServer;
using meta::testing::TikvServer;

class KvRoundTripsTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!is_etcd() && !TikvServer::is_there())
      GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
    database_ = open();
    auto store = std::make_unique<KvStore>(database_);
    Volume volume;
    volume.name = "trips";
    volume.storage = "mem";
    volume.trash_days = 0;
    ASSERT_TRUE(format_volume(*store, &volume));
    meta_ = std::make_unique<Meta>(std::move(store), volume,
                                   MetaOptions{.background_jobs = false, .max_deletes = 0});
    DataCallbacks data;
    data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
    ASSERT_TRUE(meta_->start(data));
    dir_ = make("dir", FileType::directory);
    ASSERT_TRUE(meta_->next_slice_id());
  }
  void TearDown() override {
    if (meta_) meta_->stop();
  }
  bool is_etcd() const { return GetParam() == "etcd"; }
  std::shared_ptr<Database> open() const {
    return is_etcd() ? open_etcd(EtcdServer::shared().url("/" + name_), false).value()
                     : open_tikv(TikvServer::shared().url(name_), false).value();  // in one region
  }
  uint64_t waits() const { return waits(*database_); }
  uint64_t waits(const Database& database) const {
    return is_etcd() ? etcd_requests(database) : tikv_round_trips(database);
  }
  static std::string new_name() {
    static int number = 0;
    return "trips-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  }
  Ino make(const std::string& name, FileType type = FileType::file) {
    auto made = meta_->mknod(Caller{}, kRootIno, name, NewNode{type, 0755, 0, {}});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }
  // What the kernel asks before it names an entry in a system call.
  void kernel_lookup(Ino parent, const std::string& name) {
    (void)meta_->getattr(parent);
    (void)meta_->lookup(Caller{}, parent, name);
  }
  // The least of some: usage is written meanwhile, once a second.
  uint64_t least(const std::function<void(int)>& prepare, const std::function<bool(int)>& operation) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 4; ++i) {
      prepare(i);
      const uint64_t before = waits();
      EXPECT_TRUE(operation(i));
      least = std::min(least, waits() - before);
    }
    return least;
  }

  const std::string name_ = new_name();
  std::shared_ptr<Database> database_;
  std::unique_ptr<Meta> meta_;
  Ino dir_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Engines, KvRoundTripsTest, ::testing::Values("etcd", "tikv"),
                         [](const auto& test) { return test.param; });

TEST_P(KvRoundTripsTest, OfOperations) {
  const auto n = [](int i) { return std::to_string(i); };
  const auto look = [&](const std::string& name) { kernel_lookup(kRootIno, name); };
  std::map<std::string, uint64_t> trips;
  trips["create"] =
      least([&](int i) { look("file" + n(i)); }, [&](int i) { return make("file" + n(i)) != 0; });
  trips["mkdir"] = least([&](int i) { look("sub" + n(i)); },
                         [&](int i) { return make("sub" + n(i), FileType::directory) != 0; });
  trips["lookup"] =
      least([&](int i) { look("file" + n(i)); },
            [&](int i) { return meta_->lookup(Caller{}, kRootIno, "file" + n(i)).has_value(); });
  trips["getattr"] = least([](int) {}, [&](int) { return meta_->getattr(dir_).has_value(); });
  const Ino linked = make("linked");
  trips["link"] = least(
      [&](int i) {
        look("linked");
        kernel_lookup(dir_, "link" + n(i));
      },
      [&](int i) { return meta_->link(Caller{}, linked, dir_, "link" + n(i)).has_value(); });
  trips["rename"] = least(
      [&](int i) {
        look("file" + n(i));
        kernel_lookup(dir_, "moved" + n(i));
      },
      [&](int i) {
        return meta_->rename(Caller{}, kRootIno, "file" + n(i), dir_, "moved" + n(i), 0).has_value();
      });
  trips["unlink"] = least([&](int i) { kernel_lookup(dir_, "moved" + n(i)); },
                          [&](int i) { return meta_->unlink(Caller{}, dir_, "moved" + n(i)).has_value(); });
  trips["rmdir"] = least([&](int i) { look("sub" + n(i)); },
                         [&](int i) { return meta_->rmdir(Caller{}, kRootIno, "sub" + n(i)).has_value(); });
  const Ino written = make("written");
  trips["write"] = least([](int) {},
                         [&](int) {
                           const uint64_t id = meta_->next_slice_id().value();
                           const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
                           return meta_->write(written, std::span(&slice, 1), Time{1, 0}).has_value();
                         });
  using Trips = std::map<std::string, uint64_t>;
  // rmdir asks whether the directory is empty.
  const Trips etcd = {{"create", 1}, {"mkdir", 1}, {"unlink", 1}, {"rmdir", 2},  {"rename", 1},
                      {"link", 1},   {"write", 1}, {"lookup", 1}, {"getattr", 1}};
  // What is read is asked for first, then what is to be changed and has not been read, then the commit. What
  // the last change left, and what is expected to be new, is not asked for. A timestamp counts where it is
  // waited for with nothing else to do meanwhile.
  const Trips tikv = {{"create", 2}, {"mkdir", 2}, {"unlink", 3}, {"rmdir", 4},  {"rename", 2},
                      {"link", 2},   {"write", 2}, {"lookup", 2}, {"getattr", 2}};
  EXPECT_EQ(trips, is_etcd() ? etcd : tikv);
}

// Changes of files that the client knows nothing of, which come while it is busy with another one. They may
// come too late for one group, so that some attempts are made.
TEST_P(KvRoundTripsTest, OfAGroup) {
  constexpr int kChanges = 8;
  std::vector<Ino> files;
  for (int i = 0; i <= kChanges; ++i) files.push_back(make("file" + std::to_string(i)));
  const auto grow = [](Store& store, Ino ino, FunctionRef<void()> first) {
    return store.run(
        [&](Transaction& tx) -> Status {
          first();
          AttrRead& seen = tx.attr(ino, field::length);
          TRY(tx.fetch());
          Attr values;
          values.length = seen.value->length + 1;
          tx.write(PatchNode{.ino = ino, .set = field::length, .values = values});
          return {};
        },
        {});
  };
  uint64_t least = UINT64_MAX;
  const uint64_t together = is_etcd() ? 4 : 5;  // a read and a commit, twice; a timestamp
  for (int attempt = 0; attempt < 20 && least > together; ++attempt) {
    const auto database = open();
    const uint64_t before = waits(*database);
    KvStore store(database);
    std::latch busy(1);
    std::latch come(kChanges);
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      auto be_busy = [&, first = true]() mutable {
        if (!std::exchange(first, false)) return;
        busy.count_down();
        come.wait();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      };
      EXPECT_TRUE(grow(store, files.front(), be_busy));
    });
    busy.wait();
    for (int i = 1; i <= kChanges; ++i) {
      threads.emplace_back([&, i] {
        come.count_down();
        EXPECT_TRUE(grow(store, files[i], [] {}));
      });
    }
    threads.clear();
    least = std::min(least, waits(*database) - before);
  }
  EXPECT_LE(least, together);
}

}  // namespace
}  // namespace cider::meta::kv
