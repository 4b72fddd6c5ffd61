// Questions and commits over several regions: one round trip, and all or nothing.
#include <gtest/gtest.h>
#include <signal.h>
#include <tikv.pb.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/function_ref.h"
#include "meta/store/kv/known_values.h"
#include "meta/store/kv/tikv/tikv_client.h"
#include "meta/store/kv/tikv/tikv_commit.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/store/kv/tikv/tikv_url.h"
#include "meta/store/kv/tikv/tikv_view.h"
#include "meta/testing/grpc_proxy.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/tikv_server.h"

namespace cider::meta::kv {
namespace {

using meta::testing::GrpcProxy;
using meta::testing::TikvServer;
using namespace std::chrono_literals;

bool is_read(std::string_view message) {
  tikvpb::BatchGetRequest request;
  return request.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
         request.keys_size() > 0 && request.version() > 0;
}

// The keys "a", "b" and "c" lie in regions of their own, of a server behind a proxy that counts what passes.
class TikvRegions : public ::testing::Test {
 protected:
  using Values = std::vector<Value>;

  void SetUp() override {
    if (!TikvServer::is_there()) GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
    server_.emplace(std::vector<std::string>{key("b"), key("c")}, port_, proxy_.port());
    const std::string url = "tikv://127.0.0.1:" + proxy_.port() + "/v";
    client_.emplace(parse_tikv_url(url).value());
    ASSERT_TRUE(client_->open({}));
    EXPECT_EQ(values(), (Values{std::nullopt, std::nullopt, std::nullopt}));  // now all regions are known
  }
  void TearDown() override {
    if (server_) ::kill(server_->pid(), SIGCONT);
  }
  static std::string key(const std::string& name) { return "v\xFD" + name; }
  uint64_t timestamp() { return client_->pd().timestamp({}).value(); }
  Values values() {
    TikvView view(*client_, entries_, key(""), client_->pd().ask_timestamp(), nullptr, {});
    return view.get(keys_).value();
  }
  static TikvMutations mutations(const std::vector<std::string>& names) {
    TikvMutations all;
    for (const std::string& name : names) {
      all.keys.push_back(key(name));
      all.values.emplace_back("of " + name);
    }
    return all;
  }
  // Put, at `start`: a timestamp.
  Committed put(const std::vector<std::string>& names, uint64_t start) {
    const TikvMutations all = mutations(names);
    TikvCommit commit(*client_, all, start, start, stop_);
    const auto committed = commit.run();
    EXPECT_TRUE(committed) << committed.error().to_string();
    finish(commit.left());
    return committed.value_or(Committed::unknown);
  }
  void finish(const LeftLocks& left) {
    EXPECT_TRUE(LockResolver(*client_).finish(left.keys, left.start_ts, left.commit_ts.value_or(0), {}));
  }
  // While the server says nothing, `ask` asks for the three parts: all pass the proxy. `then` is done before
  // it goes on.
  template <class Ask>
  auto ask_silent_server(const std::atomic<int>& passed, Ask ask, FunctionRef<void()> then = [] {}) {
    const int before = passed;
    const uint64_t trips = client_->round_trips();
    ::kill(server_->pid(), SIGSTOP);
    auto asking = std::async(std::launch::async, ask);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (passed < before + 3 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(passed, before + 3);
    then();
    ::kill(server_->pid(), SIGCONT);
    auto answer = asking.get();
    EXPECT_EQ(client_->round_trips(), trips + 1);
    return answer;
  }

  const std::vector<std::string> keys_ = {"a", "b", "c"};
  const Interrupt stop_;
  std::atomic<int> reads_ = 0;
  std::atomic<int> prewrites_ = 0;
  const std::string port_ = meta::testing::free_port();
  GrpcProxy proxy_{port_, [this](std::string_view message) {
                     reads_ += is_read(message) ? 1 : 0;
                     const bool prewrite = meta::testing::is_tikv_prewrite(message);
                     prewrites_ += prewrite ? 1 : 0;
                     return prewrite;
                   }};
  std::optional<TikvServer> server_;
  std::optional<TikvClient> client_;
  KnownValues entries_;
};

TEST_F(TikvRegions, AreReadAtTheSameTime) {
  ASSERT_EQ(put(keys_, timestamp()), Committed::done);
  TikvView view(*client_, entries_, key(""), PdClient::known_timestamp(timestamp()), nullptr, {});
  const auto seen = ask_silent_server(reads_, [&] { return view.get(keys_); });
  EXPECT_EQ(seen.value(), (Values{"of a", "of b", "of c"}));
}

TEST_F(TikvRegions, AreLockedAtTheSameTime) {
  const uint64_t start = timestamp();
  const TikvMutations all = mutations(keys_);
  TikvCommit commit(*client_, all, start, start, stop_);
  EXPECT_EQ(ask_silent_server(prewrites_, [&] { return commit.run(); }).value(), Committed::done);
  finish(commit.left());
  EXPECT_EQ(values(), (Values{"of a", "of b", "of c"}));
}

TEST_F(TikvRegions, ThatHaveBeenAskedAreWaitedForAfterAnInterruption) {
  const uint64_t start = timestamp();
  const TikvMutations all = mutations(keys_);
  std::stop_source now;
  const Interrupt stop(now.get_token(), {});
  TikvCommit commit(*client_, all, start, start, stop);
  const auto run = [&] { return commit.run(); };
  EXPECT_EQ(ask_silent_server(prewrites_, run, [&] { now.request_stop(); }).value(), Committed::done);
  finish(commit.left());
}

// The others have been locked meanwhile, or their answers were lost: nothing of them stays.
TEST_F(TikvRegions, AConflictInOneIsAConflictOfAll) {
  for (const std::string& name : keys_) {
    const uint64_t start = timestamp();
    ASSERT_EQ(put({name}, timestamp()), Committed::done);
    EXPECT_EQ(put(keys_, start), Committed::conflict) << name;
    const uint64_t trips = client_->round_trips();
    const auto seen = values();
    EXPECT_EQ(client_->round_trips(), trips + 1) << "a lock of " << name << " was in the way";
    EXPECT_EQ(std::ranges::count(seen, Value{}), 'c' - name.front()) << name;
  }
}

TEST_F(TikvRegions, WhoseConnectionBreaksTellWhatWasCommitted) {
  for (int part = 0; part < 3; ++part) {
    for (const auto fault : {GrpcProxy::Fault::lose_reply, GrpcProxy::Fault::hold_request}) {
      const uint64_t start = timestamp();
      proxy_.strike(fault, {}, part);
      const Committed committed = put(keys_, start);
      EXPECT_TRUE(proxy_.has_struck());
      EXPECT_NE(committed, Committed::unknown);
      const auto seen = values();
      proxy_.deliver_held();
      EXPECT_EQ(values(), seen) << "it was made late";
    }
  }
}

}  // namespace
}  // namespace cider::meta::kv
