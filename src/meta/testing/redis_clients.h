// A volume on a Redis server of the test's own, with one client behind a proxy and one beside it. For tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "meta/store/redis/client.h"
#include "meta/testing/fault_proxy.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/two_clients.h"

namespace cider::meta::testing {

class RedisTest : public ::testing::Test, protected TwoClients {
 protected:
  static constexpr int kDb = 7;

  void SetUp() override {
    direct_ = std::make_unique<redis::Client>(redis::parse_redis_url(server_.url(kDb)).value());
    make_volume(server_.url(kDb), /*acl=*/true);
    a_ = client_of(proxy_.url(kDb));
    b_ = client_of(server_.url(kDb));
  }
  void TearDown() override {
    proxy_.go_away(false);
    end_clients();
    expect_consistent(dump_redis(server_.url(kDb)));
  }

  RedisServer server_;
  FaultProxy proxy_{server_.socket()};
  std::unique_ptr<redis::Client> direct_;
};

}  // namespace cider::meta::testing
