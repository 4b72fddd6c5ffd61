// A volume on a Redis server of the test's own, with one client behind a proxy and one beside it. For tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "meta/store/engines.h"
#include "meta/store/redis/client.h"
#include "meta/testing/fault_proxy.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/test_volume.h"

namespace cider::meta::testing {

class RedisTest : public ::testing::Test {
 protected:
  static constexpr int kDb = 7;

  void SetUp() override {
    direct_ = std::make_unique<redis::Client>(redis::parse_redis_url(server_.url(kDb)).value());
    auto store = open_store(server_.url(kDb), true, false).value();
    Volume volume;
    volume.name = "faults";
    volume.storage = "mem";
    volume.trash_days = 0;
    volume.enable_acl = true;
    ASSERT_TRUE(format_volume(*store, &volume));
    a_ = client_of(proxy_.url(kDb));
    b_ = client_of(server_.url(kDb));
  }
  void TearDown() override {
    proxy_.go_away(false);
    a_->stop();
    b_->stop();
    auto dump = dump_redis(server_.url(kDb));
    ASSERT_TRUE(dump);
    for (const std::string& problem : inconsistencies(*dump)) ADD_FAILURE() << problem;
  }

  static std::unique_ptr<Meta> client_of(const std::string& url, int max_deletes = 1,
                                         std::chrono::seconds heartbeat = std::chrono::seconds(12)) {
    auto store = open_store(url, false, false);
    if (!store) throw std::runtime_error(store.error().to_string());
    Volume volume = load_volume(**store).value();
    MetaOptions options = {.heartbeat = heartbeat, .background_jobs = false, .max_deletes = max_deletes};
    auto meta = std::make_unique<Meta>(*std::move(store), volume, options);
    DataCallbacks data;
    data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
    if (!meta->start(data)) throw std::runtime_error("the client does not start");
    return meta;
  }
  Ino file(const std::string& name) {
    auto made = a_->mknod(Caller{}, kRootIno, name, NewNode{});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }
  static int unlink(Meta& meta, const std::string& name, const Caller& caller = {}) {
    return code_of(meta.unlink(caller, kRootIno, name));
  }
  bool exists(const std::string& name) { return b_->lookup(Caller{}, kRootIno, name).has_value(); }

  RedisServer server_;
  FaultProxy proxy_{server_.socket()};
  std::unique_ptr<redis::Client> direct_;
  std::unique_ptr<Meta> a_;
  std::unique_ptr<Meta> b_;
};

}  // namespace cider::meta::testing
