// What connections and requests hold in memory, and by which certificates servers are checked.
#include "object/s3/http.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include "base/budget.h"
#include "object/hedge.h"
#include "object/s3/s3_store.h"
#include "object/testing/fake_http.h"
#include "object/testing/local_servers.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object::s3 {
namespace {

using testing::answer;
using testing::FakeHttp;
using testing::HttpAsked;

constexpr size_t kConnection = 32 << 10;
constexpr size_t kSmall = 16 << 10;
constexpr size_t kLarge = 256 << 10;
constexpr size_t kObject = 1 << 20;

// A store whose answers come when the test lets them through.
class HttpMemory : public ::testing::Test {
 protected:
  void open(Millis idle_time = Millis(60'000)) {
    HttpOptions http;
    http.memory = &budget_;
    http.idle_time = idle_time;
    const Environment none = [](const char*) { return std::string(); };
    const Provider& provider = *find_provider("s3");
    store_ = std::make_unique<S3Store>(
        provider, *parse_endpoint(provider, server_.url("/bucket"), none), StoreConfig(), std::move(http),
        std::make_shared<CredentialSource>(provider, Credentials{.access_key = "k", .secret_key = "s"},
                                           none));
  }

  // Runs `request` on `count` threads, and answers what the budget holds while all of them wait for the
  // server.
  template <class Request>
  size_t during(int count, Request request) {
    hold();
    const size_t before = server_.asked().size();
    size_t used = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < count; i++) threads.emplace_back([&] { EXPECT_TRUE(request()); });
      server_.wait_for_requests(before + static_cast<size_t>(count));
      used = budget_.used();
      let_go();
    }
    return used;
  }
  void hold() { held_.lock(); }
  void let_go() { held_.unlock(); }

  Status get(size_t size) {
    std::vector<std::byte> out(size);
    return store_->get("k", 0, out, {});
  }

  MemoryBudget budget_{64 << 20};
  std::mutex held_;
  FakeHttp server_{[this](const HttpAsked& asked, int) {
    std::lock_guard wait(held_);
    if (asked.method == "PUT") return answer(200, "");
    const std::string range = asked.header("range");  // "bytes=0-4"
    const size_t size = std::stoul(range.substr(range.find('-') + 1)) + 1;
    return answer(206, std::string(size, 'v'), "Content-Range: bytes " + range.substr(6) + "/1048576\r\n");
  }};
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(HttpMemory, CountsConnectionsAndTheBuffersOfRequests) {
  constexpr int kCount = 8;
  open();
  EXPECT_EQ(during(kCount, [&] { return get(kObject); }), kCount * (kConnection + kLarge));
  EXPECT_EQ(budget_.used(), kCount * kConnection);
  EXPECT_EQ(during(kCount, [&] { return get(4096); }), kCount * (kConnection + kSmall));
  EXPECT_EQ(during(1, [&] { return get(kObject); }), kCount * kConnection + kLarge);
  const BufferChain data = testing::chain({std::string(kObject, 'd')});
  EXPECT_EQ(during(kCount, [&] { return store_->put("k", data, {}); }),
            kCount * (kConnection + kSmall + kLarge));
  EXPECT_EQ(budget_.used(), kCount * kConnection);
  store_.reset();
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(HttpMemory, ASecondRequestCountsAsWell) {
  open();
  MetricSet metrics;
  store_ = with_hedging(std::move(store_), budget_, {.least = Millis(1), .share = 1, .samples = 1}, metrics);
  constexpr int kKnown = 8;  // requests before the usual time is known
  for (int i = 0; i < kKnown; i++) ASSERT_TRUE(get(kObject));
  hold();
  {
    std::jthread slow([&] { EXPECT_TRUE(get(kObject)); });
    server_.wait_for_requests(kKnown + 2);
    EXPECT_EQ(budget_.used(), 2 * (kConnection + kLarge) + kObject);
    let_go();
  }
  store_.reset();
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(HttpMemory, ConnectionsThatAreLongIdleAreClosed) {
  open(Millis(0));
  ASSERT_TRUE(get(5));
  EXPECT_EQ(budget_.used(), 0u);
  ASSERT_TRUE(get(5));
  EXPECT_EQ(server_.connections(), 2);
}

class HttpTrust : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = testing::https_server();
    if (!server && server.error().code == ENODEV) GTEST_SKIP() << server.error().to_string();
    ASSERT_TRUE(server) << server.error().to_string();
    server_ = *server;
    std::filesystem::copy_file(server_->cert_file, file_);
  }
  int code_by(HttpClient& client) {
    HttpRequest request;
    request.url = server_->url();
    auto response = client.perform(request, nullptr, {});
    return response ? response->status : -response.error().code;
  }

  testing::TempDir dir_;
  const std::string file_ = dir_.path() + "/trusted";
  const testing::HttpsServer* server_ = nullptr;
};

TEST_F(HttpTrust, AServerIsCheckedByTheCertificatesOfTheFile) {
  HttpClient strict{HttpOptions()};
  EXPECT_EQ(code_by(strict), -EPROTO);
  HttpClient trusting{{.ca_file = file_}};
  EXPECT_EQ(code_by(trusting), 200);
  HttpClient careless{{.verify_tls = false}};
  EXPECT_EQ(code_by(careless), 200);
}

TEST_F(HttpTrust, CertificatesAreReadOnceForAllConnections) {
  HttpClient client{{.ca_file = file_}};
  EXPECT_EQ(code_by(client), 200);
  std::filesystem::remove(file_);
  EXPECT_EQ(code_by(client), 200);
  HttpClient late{{.ca_file = file_}};
  EXPECT_EQ(code_by(late), -EINVAL);
}

}  // namespace
}  // namespace cider::object::s3
