// TLS with real servers of each engine that has it: whom a client trusts, and whom a server.
#include <grpc/grpc.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "meta/store/engines.h"
#include "meta/testing/certificates.h"
#include "meta/testing/etcd_server.h"
#include "meta/testing/mysql_server.h"
#include "meta/testing/postgres_server.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/tikv_server.h"

// What gRPC asks names by keeps the names it was asked for.
extern "C" const char* __lsan_default_suppressions() {  // NOLINT: the name is LeakSanitizer's
  return "leak:libcares";
}

namespace cider::meta {
namespace {

using testing::Certificates;

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

// What a client is told; "" where it has written and read a volume's setting.
std::string told(const std::string& url) {
  const auto begin = std::chrono::steady_clock::now();
  auto store = open_store(url, true, false);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << url;
  if (!store) {
    EXPECT_EQ(store.error().code, EACCES) << store.error().to_string();
    EXPECT_EQ(store.error().message.find("secret"), std::string::npos) << store.error().message;
    return store.error().to_string();
  }
  const Status destroyed = (*store)->destroy_volume();
  const Status made = (*store)->create_volume("{}", Attr{}, {});
  if (!destroyed || !made) return (destroyed ? made : destroyed).error().to_string();
  EXPECT_EQ((*store)->load_setting().value(), "{}");
  return "";
}

// gRPC ends its threads in the background, and with them what OpenSSL keeps for each; if the program ends
// before, the checker takes that for lost.
void await_end_of_grpc() {
  grpc_init();
  grpc_shutdown_blocking();
}

bool says(const std::string& told, const std::string& words) {
  return told.find(words) != told.npos;
}

#define EXPECT_TOLD(url, words)               \
  do {                                        \
    const std::string heard = told(url);      \
    EXPECT_TRUE(says(heard, words)) << heard; \
  } while (false)

class PostgresTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Certificates& made = certificates();
    testing::PostgresServer::give(made.server_key());
    std::ofstream(made.dir() + "/hba") << "local all all trust\n"
                                          "hostssl all bearer all cert\n"
                                          "hostssl all cider all trust\n";
    port_ = testing::free_port();
    server_ = std::make_unique<testing::PostgresServer>(
        std::vector<std::string>{"listen_addresses=127.0.0.1", "ssl=on", "ssl_cert_file=" + made.server(),
                                 "ssl_key_file=" + made.server_key(), "ssl_ca_file=" + made.ca(),
                                 "hba_file=" + made.dir() + "/hba"},
        port_);
    server_->sql("CREATE ROLE bearer SUPERUSER LOGIN");
  }
  static void TearDownTestSuite() { server_.reset(); }
  static std::string url(const std::string& host, const std::string& options,
                         const std::string& user = "cider") {
    return "postgres://" + user + ":secret@" + host + ":" + port_ + "/postgres?" + options;
  }
  static std::string bearer() {
    return "&sslcert=" + certificates().client() + "&sslkey=" + certificates().client_key();
  }
  static inline std::string port_;
  static inline std::unique_ptr<testing::PostgresServer> server_;
};

TEST_F(PostgresTls, TheAuthorityAndTheNameAreLookedAtAsSslmodeSays) {
  const std::string right = "&sslrootcert=" + certificates().ca();
  const std::string wrong = "&sslrootcert=" + certificates().other_ca();
  EXPECT_EQ(told(url("localhost", "sslmode=verify-full" + right)), "");
  EXPECT_EQ(told(url("127.0.0.1", "sslmode=verify-ca" + right)), "");
  EXPECT_EQ(told(url("127.0.0.1", "sslmode=require")), "");
  EXPECT_TOLD(url("127.0.0.1", "sslmode=verify-full" + right), "does not match host name \"127.0.0.1\"");
  EXPECT_TOLD(url("localhost", "sslmode=verify-full" + wrong), "certificate verify failed");
  EXPECT_TOLD(url("localhost", "sslmode=verify-ca" + wrong), "certificate verify failed");
}

TEST_F(PostgresTls, AUserNeedsTheCertificateThatTheServerAsksFor) {
  const std::string checked = "sslmode=verify-full&sslrootcert=" + certificates().ca();
  EXPECT_EQ(told(url("localhost", checked + bearer(), "bearer")), "");
  EXPECT_TOLD(url("localhost", checked, "bearer"), "requires a valid client certificate");
}

TEST_F(PostgresTls, AServerThatWantsTlsRefusesToDoWithout) {
  EXPECT_TOLD(url("localhost", "sslmode=disable"), "no encryption");
}

class MysqlTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Certificates& made = certificates();
    port_ = testing::free_port();
    server_ = std::make_unique<testing::MysqlServer>(std::vector<std::string>{
        "--skip-networking=0", "--bind-address=127.0.0.1", "--port=" + port_, "--ssl-cert=" + made.server(),
        "--ssl-key=" + made.server_key(), "--ssl-ca=" + made.ca()});
    server_->sql(
        "ALTER USER cider@localhost REQUIRE SSL; CREATE USER bearer@localhost IDENTIFIED BY 'secret' "
        "REQUIRE X509; GRANT ALL ON *.* TO bearer@localhost");
  }
  static void TearDownTestSuite() { server_.reset(); }
  // The system's authorities are those of this file, as OpenSSL has it.
  void SetUp() override { setenv("SSL_CERT_FILE", certificates().ca().c_str(), 1); }
  void TearDown() override { unsetenv("SSL_CERT_FILE"); }
  static std::string url(const std::string& host, const std::string& tls, const std::string& user = "cider") {
    return "mysql://" + user + ":secret@(" + host + ":" + port_ + ")/cider?tls=" + tls;
  }
  static inline std::string port_;
  static inline std::unique_ptr<testing::MysqlServer> server_;
};

TEST_F(MysqlTls, TrueAsksForACertificateOfTheSystemSAuthorities) {
  EXPECT_EQ(told(url("localhost", "true")), "");
  EXPECT_TOLD(url("127.0.0.1", "true"), "certificate");
  setenv("SSL_CERT_FILE", certificates().other_ca().c_str(), 1);
  EXPECT_TOLD(url("localhost", "true"), "certificate");
}

TEST_F(MysqlTls, OtherValuesTakeAnyCertificate) {
  setenv("SSL_CERT_FILE", certificates().other_ca().c_str(), 1);
  EXPECT_EQ(told(url("127.0.0.1", "skip-verify")), "");
  EXPECT_EQ(told(url("localhost", "preferred")), "");
}

TEST_F(MysqlTls, OnlyPreferredDoesWithoutIt) {
  EXPECT_EQ(told(testing::MysqlServer::shared().url("tls=preferred")), "");
  for (const char* value : {"true", "skip-verify"})
    EXPECT_TOLD(testing::MysqlServer::shared().url(std::string("tls=") + value), "server");
}

TEST_F(MysqlTls, WithoutWhatAUserNeedsItIsRefused) {
  EXPECT_TOLD(url("localhost", "false"), "Access denied");
  EXPECT_TOLD(url("localhost", "true", "bearer"), "Access denied");
}

class EtcdTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Certificates& made = certificates();
    server_ = std::make_unique<testing::EtcdServer>(
        std::vector<std::string>{"--cert-file", made.server(), "--key-file", made.server_key(),
                                 "--client-cert-auth", "--trusted-ca-file", made.ca()},
        right() + bearer());
  }
  static void TearDownTestSuite() {
    server_.reset();
    await_end_of_grpc();
  }
  static std::string url(const std::string& host, const std::string& options) {
    return server_->url_of_host(host, "/volume", options);
  }
  static std::string right() { return "cacert=" + certificates().ca(); }
  static std::string bearer() {
    return "&cert=" + certificates().client() + "&key=" + certificates().client_key();
  }
  static inline std::unique_ptr<testing::EtcdServer> server_;
};

TEST_F(EtcdTls, TheAuthorityAndTheNameAreLookedAt) {
  EXPECT_EQ(told(url("localhost", right() + bearer())), "");
  EXPECT_EQ(told(url("127.0.0.1", right() + bearer() + "&server-name=localhost")), "");
  EXPECT_TOLD(url("127.0.0.1", right() + bearer()), "name");
  EXPECT_TOLD(url("localhost", right() + bearer() + "&server-name=other"), "name");
  EXPECT_TOLD(url("localhost", "cacert=" + certificates().other_ca() + bearer()), "certificate");
  EXPECT_TOLD(url("localhost", bearer().substr(1)), "certificate");
}

TEST_F(EtcdTls, NothingIsLookedAtWhereToldSo) {
  const std::string options = bearer() + "&insecure-skip-verify=1";
  EXPECT_EQ(told(url("127.0.0.1", "cacert=" + certificates().other_ca() + options)), "");
  EXPECT_EQ(told(url("127.0.0.1", options.substr(1))), "");
}

TEST_F(EtcdTls, AClientNeedsACertificateWhereTheServerAsks) {
  EXPECT_TOLD(url("localhost", right()), "cert");
}

class TikvTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (testing::TikvServer::is_there())
      server_ = std::make_unique<testing::TikvServer>(certificates(), right() + bearer());
  }
  void SetUp() override {
    if (!server_) GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
  }
  static void TearDownTestSuite() {
    server_.reset();
    await_end_of_grpc();
  }
  static std::string url(const std::string& host, const std::string& options) {
    return server_->url_of_host(host, "volume", options);
  }
  static std::string right() { return "ca=" + certificates().ca(); }
  static std::string bearer() {
    return "&cert=" + certificates().client() + "&key=" + certificates().client_key();
  }
  static inline std::unique_ptr<testing::TikvServer> server_;
};

TEST_F(TikvTls, TheAuthorityAndTheNameAreLookedAt) {
  EXPECT_EQ(told(url("localhost", right() + bearer())), "");
  EXPECT_EQ(told(url("127.0.0.1", right() + bearer() + "&verify-cn=localhost")), "");
  EXPECT_TOLD(url("127.0.0.1", right() + bearer()), "name");
  EXPECT_TOLD(url("localhost", right() + bearer() + "&verify-cn=other"), "name");
  EXPECT_TOLD(url("localhost", "ca=" + certificates().other_ca() + bearer()), "certificate");
}

TEST_F(TikvTls, AClientNeedsACertificate) {
  EXPECT_TOLD(url("localhost", right()), "cert");
}

}  // namespace
}  // namespace cider::meta
