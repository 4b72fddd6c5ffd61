// What the S3 driver sends, and what it makes of every kind of bad answer.
#include <gtest/gtest.h>

#include <thread>

#include "base/crc32c.h"
#include "object/s3/s3_store.h"
#include "object/testing/fake_http.h"
#include "object/testing/stores.h"

namespace cider::object::s3 {
namespace {

using testing::answer;
using testing::chain;
using testing::error_answer;
using testing::FakeHttp;
using testing::HttpAnswer;
using testing::HttpAsked;

constexpr const char* kSecret = "the-secret-key";

std::unique_ptr<ObjectStore> open(const FakeHttp& server, const std::string& options = "",
                                  HttpOptions http = {}, StoreConfig config = {}) {
  config.access_key = "the-key";
  config.secret_key = kSecret;
  const Provider& provider = *find_provider("s3");
  Environment none = [](const char*) { return std::string(); };
  auto endpoint = parse_endpoint(provider, server.url("/bucket") + options, none);
  auto keys = std::make_shared<CredentialSource>(
      provider, Credentials{config.access_key, config.secret_key, "", {}}, none);
  return std::make_unique<S3Store>(provider, *endpoint, config, std::move(http), std::move(keys));
}

// What a get of bytes 0 to `size` ends with.
Status get(ObjectStore& store, size_t size, std::string* out = nullptr, uint64_t offset = 0) {
  std::string bytes(size, '?');
  Status status = store.get("k", offset, std::as_writable_bytes(std::span(bytes)), {});
  if (out) *out = bytes;
  return status;
}

HttpAnswer part(std::string_view body, std::string_view range, std::string_view headers = "") {
  return answer(206, body, "Content-Range: bytes " + std::string(range) + "\r\n" + std::string(headers));
}

std::string crc_header(std::string_view of) {
  return "x-amz-meta-crc32c: " + std::to_string(crc32c(0, std::as_bytes(std::span(of)))) + "\r\n";
}

TEST(S3Store, OneRequestEachOverOneConnection) {
  FakeHttp server([](const HttpAsked& asked, int) {
    return asked.method == "PUT" ? answer(200, "") : part("hello", "0-4/5", crc_header("hello"));
  });
  auto store = open(server);
  ASSERT_TRUE(store->put("a b/k", chain({"hel", "", "lo"}), {}));
  std::string out;
  for (int i = 0; i < 5; i++) ASSERT_TRUE(get(*store, 5, &out));
  EXPECT_EQ(out, "hello");
  const auto asked = server.asked();
  ASSERT_EQ(asked.size(), 6u);
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(asked[0].target, "/bucket/a%20b/k");
  EXPECT_EQ(asked[0].body, "hello");
  EXPECT_EQ(asked[0].header("x-amz-meta-crc32c"),
            std::to_string(crc32c(0, std::as_bytes(std::span("hello", 5)))));
  EXPECT_EQ(asked[0].header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
  EXPECT_EQ(asked[0].header("expect"), "");
  EXPECT_EQ(asked[1].header("range"), "bytes=0-4");
}

TEST(S3Store, StorageClassTagsAgentAndOptions) {
  FakeHttp server([](const HttpAsked&, int) { return answer(200, ""); });
  StoreConfig config;
  config.storage_class = "STANDARD_IA";
  config.tag = "team=a&kind=b";
  HttpOptions http;
  http.user_agent = "CiderFS/1";
  auto store = open(server, "?disable-checksum=true&disable-100-continue=false", http, config);
  ASSERT_TRUE(store->put("k", chain({"x"}), {}));
  const HttpAsked asked = server.asked().at(0);
  EXPECT_EQ(asked.header("x-amz-storage-class"), "STANDARD_IA");
  EXPECT_EQ(asked.header("x-amz-tagging"), "team=a&kind=b");
  EXPECT_EQ(asked.header("user-agent"), "CiderFS/1");
  EXPECT_EQ(asked.header("x-amz-meta-crc32c"), "");
  EXPECT_EQ(asked.header("expect"), "100-continue");
}

struct BadAnswer {
  int status;
  const char* code;
  int number;
  const char* words;
};

TEST(S3Store, ErrorsHaveTheirErrnoAndNameTheKey) {
  const BadAnswer cases[] = {
      {404, "NoSuchKey", ENOENT, "object k does not exist"},
      {404, "NoSuchBucket", ENOENT, "the bucket bucket does not exist"},
      {403, "AccessDenied", EACCES, "get k: the store answers AccessDenied (403)"},
      {403, "SignatureDoesNotMatch", EACCES, "SignatureDoesNotMatch"},
      {403, "InvalidAccessKeyId", EACCES, "InvalidAccessKeyId"},
      {503, "SlowDown", EAGAIN, "get k: the store asked to slow down, SlowDown (503)"},
      {429, "", EAGAIN, "slow down"},
      {503, "ServiceUnavailable", EAGAIN, "slow down"},
      {500, "InternalError", EIO, "get k: the store answers InternalError (500)"},
      {400, "RequestTimeout", ETIMEDOUT, "RequestTimeout"},
      {400, "EntityTooLarge", EFBIG, "EntityTooLarge"},
      {403, "QuotaExceeded", ENOSPC, "QuotaExceeded"},
      {507, "XMinioStorageFull", ENOSPC, "XMinioStorageFull"},
      {400, "Whatever", EIO, "Whatever (400)"},
  };
  for (const BadAnswer& bad : cases) {
    FakeHttp server([&](const HttpAsked&, int) { return error_answer(bad.status, bad.code); });
    const Status status = get(*open(server), 5);
    EXPECT_EQ(code_of(status), bad.number) << bad.code;
    EXPECT_NE(status.error().message.find(bad.words), std::string::npos) << status.error().message;
    EXPECT_EQ(status.error().message.find(kSecret), std::string::npos);
    EXPECT_EQ(server.asked().size(), 1u) << "no retries of its own";
  }
}

TEST(S3Store, TellsBothClocksWhenTheyDiffer) {
  FakeHttp server([](const HttpAsked& asked, int) {
    if (asked.method == "HEAD") return answer(403, "", "Date: Wed, 12 Oct 2009 17:50:30 GMT\r\n");
    return error_answer(403, "RequestTimeTooSkewed", "too large",
                        "<ServerTime>2009-10-12T17:50:30Z</ServerTime>");
  });
  auto store = open(server);
  const Status status = get(*store, 1);
  EXPECT_EQ(code_of(status), EACCES);
  EXPECT_NE(status.error().message.find("the store's 2009-10-12T17:50:30Z"), std::string::npos)
      << status.error().message;
  const auto head = store->head("k");
  EXPECT_EQ(code_of(head), EACCES);
  EXPECT_NE(head.error().message.find("the clocks differ"), std::string::npos) << head.error().message;
}

TEST(S3Store, ConnectionsThatFail) {
  {
    FakeHttp server([](const HttpAsked&, int) { return HttpAnswer{"", HttpAnswer::Then::reset}; });
    EXPECT_EQ(code_of(get(*open(server), 5)), ECONNRESET);
  }
  std::unique_ptr<ObjectStore> store;
  {
    FakeHttp server([](const HttpAsked&, int) { return answer(200, ""); });
    store = open(server);
  }
  const Status refused = get(*store, 5);
  EXPECT_EQ(code_of(refused), ECONNREFUSED) << refused.error().message;
  EXPECT_NE(refused.error().message.find("get k: "), std::string::npos) << refused.error().message;
  EXPECT_EQ(refused.error().message.find(kSecret), std::string::npos);
}

TEST(S3Store, BodiesThatEndEarly) {
  FakeHttp server([](const HttpAsked&, int n) {
    HttpAnswer cut = part("0123456789", "0-9/10");
    cut.bytes.resize(cut.bytes.size() - 4);
    cut.then = n == 0 ? HttpAnswer::Then::close : HttpAnswer::Then::reset;
    return cut;
  });
  auto store = open(server);
  EXPECT_EQ(code_of(get(*store, 10)), EIO);
  const int reset = code_of(get(*store, 10));
  EXPECT_TRUE(reset == ECONNRESET || reset == EIO) << reset;
}

TEST(S3Store, AShorterObjectIsNamedWithItsSize) {
  FakeHttp server([](const HttpAsked&, int n) {
    if (n == 0) return part("01234", "0-4/5");
    return error_answer(416, "InvalidRange", "", "", "Content-Range: bytes */5\r\n");
  });
  auto store = open(server);
  Status status = get(*store, 6);
  EXPECT_EQ(code_of(status), EIO);
  EXPECT_EQ(status.error().message, "object k has 5 bytes, wanted 6");
  status = get(*store, 6, nullptr, 10);
  EXPECT_EQ(code_of(status), EIO);
  EXPECT_EQ(status.error().message, "object k has 5 bytes, wanted 16");
}

TEST(S3Store, AlteredBodiesAreFoundByTheirChecksum) {
  FakeHttp server([](const HttpAsked& asked, int) {
    if (asked.header("range").empty()) return answer(200, "heLlo", crc_header("hello"));
    return part("heLlo", "0-4/5", crc_header("hello"));
  });
  auto store = open(server);
  Status status = get(*store, 5);
  EXPECT_EQ(code_of(status), EBADMSG);
  EXPECT_NE(status.error().message.find("object k is damaged"), std::string::npos) << status.error().message;
  EXPECT_EQ(code_of(store->get_all("k", 100, {})), EBADMSG);
  std::string out(5, '?');
  EXPECT_EQ(code_of(store->get_whole("k", std::as_writable_bytes(std::span(out)), {})), EBADMSG);
  size_t told = 0;
  auto arrived = [&](size_t n) { told = n; };
  EXPECT_EQ(code_of(store->get_in_order("k", 0, std::as_writable_bytes(std::span(out)), arrived, {})),
            EBADMSG);
  EXPECT_EQ(told, 0u);
  EXPECT_TRUE(get(*open(server, "?disable-checksum=true"), 5));
}

TEST(S3Store, AStoreWithoutRangesSendsAll) {
  FakeHttp server([](const HttpAsked&, int) { return answer(200, "0123456789"); });
  auto store = open(server);
  std::string out;
  ASSERT_TRUE(get(*store, 3, &out, 4));
  EXPECT_EQ(out, "456");
  ASSERT_TRUE(get(*store, 6, &out, 4));
  EXPECT_EQ(out, "456789");
}

TEST(S3Store, AnotherRangeThanAskedForIsAnError) {
  FakeHttp server([](const HttpAsked&, int) { return part("012", "0-2/10"); });
  EXPECT_EQ(code_of(get(*open(server), 3, nullptr, 4)), EIO);
}

TEST(S3Store, WhatHasArrivedIsToldBeforeTheEnd) {
  FakeHttp server([](const HttpAsked&, int) {
    HttpAnswer first = part(std::string(10, 'a') + std::string(10, 'b'), "0-19/20");
    first.bytes.resize(first.bytes.size() - 10);
    first.then = HttpAnswer::Then::stall;
    return first;
  });
  auto store = open(server);
  std::string out(20, '?');
  std::stop_source stop;
  auto arrived = [&](size_t n) {
    EXPECT_EQ(n, 10u);
    stop.request_stop();
  };
  EXPECT_EQ(
      code_of(store->get_in_order("k", 0, std::as_writable_bytes(std::span(out)), arrived, stop.get_token())),
      EINTR);
  EXPECT_EQ(out.substr(0, 10), std::string(10, 'a'));
}

TEST(S3Store, InterruptsEndEveryWait) {
  FakeHttp server([](const HttpAsked& asked, int) {
    HttpAnswer half = asked.method == "GET" ? part("0123456789", "0-9/10") : HttpAnswer{};
    half.bytes.resize(half.bytes.size() / 2);
    half.then = HttpAnswer::Then::stall;
    return half;
  });
  auto store = open(server);
  for (bool upload : {false, true}) {
    std::stop_source stop;
    std::jthread later([&] {
      server.wait_for_requests(upload ? 2 : 1);
      stop.request_stop();
    });
    std::string out(10, '?');
    const Status status = upload
                              ? store->put("k", chain({"x"}), stop.get_token())
                              : store->get("k", 0, std::as_writable_bytes(std::span(out)), stop.get_token());
    EXPECT_EQ(code_of(status), EINTR);
  }
  std::stop_source before;
  before.request_stop();
  EXPECT_EQ(code_of(store->put("k", chain({"x"}), before.get_token())), EINTR);
  EXPECT_EQ(server.asked().size(), 2u);
}

TEST(S3Store, StallsEndByThemselves) {
  FakeHttp server([](const HttpAsked&, int n) {
    HttpAnswer stalled = part("0123456789", "0-9/10");
    stalled.bytes.resize(n == 0 ? 0 : stalled.bytes.size() - 3);
    stalled.then = HttpAnswer::Then::stall;
    return stalled;
  });
  HttpOptions http;
  http.first_byte_timeout = http.stall_timeout = Millis(100);
  auto store = open(server, "", http);
  Status status = get(*store, 10);
  EXPECT_EQ(code_of(status), ETIMEDOUT);
  EXPECT_NE(status.error().message.find("no answer for 0.1 s"), std::string::npos) << status.error().message;
  status = get(*store, 10);
  EXPECT_EQ(code_of(status), ETIMEDOUT);
  EXPECT_NE(status.error().message.find("no byte came"), std::string::npos) << status.error().message;

  StoreConfig config;
  config.get_timeout = Seconds(1);
  status = get(*open(server, "", {}, config), 10);
  EXPECT_EQ(code_of(status), ETIMEDOUT);
  EXPECT_NE(status.error().message.find("not done within 1 s"), std::string::npos) << status.error().message;
}

TEST(S3Store, FollowsToAnotherRegionOnceAndRemembersIt) {
  FakeHttp server([](const HttpAsked& asked, int) {
    if (asked.header("authorization").find("/eu-west-1/s3/") == std::string::npos) {
      return error_answer(301, "PermanentRedirect", "elsewhere", "", "x-amz-bucket-region: eu-west-1\r\n");
    }
    return part("hello", "0-4/5");
  });
  auto store = open(server);
  EXPECT_TRUE(get(*store, 5));
  EXPECT_EQ(server.asked().size(), 2u);
  EXPECT_TRUE(get(*store, 5));
  EXPECT_EQ(server.asked().size(), 3u);

  FakeHttp endless([](const HttpAsked&, int n) {
    return error_answer(400, "AuthorizationHeaderMalformed", "",
                        "<Region>r" + std::to_string(n) + "</Region>");
  });
  EXPECT_EQ(code_of(get(*open(endless), 5)), EIO);
  EXPECT_EQ(endless.asked().size(), 2u);
}

std::string listing(std::initializer_list<std::string_view> keys,
                    std::string_view more = "<KeyCount>1</KeyCount>") {
  std::string xml = "<ListBucketResult><EncodingType>url</EncodingType>" + std::string(more);
  for (std::string_view key : keys) {
    xml += "<Contents><Key>" + std::string(key) +
           "</Key><Size>3</Size><LastModified>2009-10-12T17:50:30.250Z</LastModified></Contents>";
  }
  return xml + "</ListBucketResult>";
}

TEST(S3Store, ListsPages) {
  FakeHttp server([](const HttpAsked&, int n) {
    if (n == 0) {
      return answer(200, listing({"a%2Fb", "ac+d"},
                                 "<KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
                                 "<NextContinuationToken>to ken</NextContinuationToken>"));
    }
    return answer(200, listing({"b", "folder/", "g"}));
  });
  auto store = open(server);
  const auto found = store->list("p", "", 100);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(testing::keys_of(*found), (std::vector<std::string>{"a/b", "ac d", "b", "g"}));
  EXPECT_EQ(found->at(0).mtime, (Time{1255369830, 250'000'000}));
  EXPECT_NE(server.asked()[1].target.find("continuation-token=to%20ken"), std::string::npos)
      << server.asked()[1].target;
}

TEST(S3Store, ListsThatCantBeTrue) {
  for (const std::string& body :
       {listing({"b", "a"}), listing({"a", "a"}), std::string("<ListBucketResult><Contents>"),
        std::string("nonsense"), std::string("<Other/>"), std::string(), listing({""}),
        listing({}, "<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>")}) {
    FakeHttp server([&](const HttpAsked&, int) { return answer(200, body); });
    const auto found = open(server)->list("", "", 100);
    EXPECT_EQ(code_of(found), EIO) << body;
  }
  FakeHttp server([&](const HttpAsked&, int) { return answer(200, listing({"b", "a"})); });
  const auto found = open(server)->list("", "", 100);
  EXPECT_NE(found.error().message.find("out of order: a after b"), std::string::npos)
      << found.error().message;
}

TEST(S3Store, FallsBackToTheFirstVersionOfListings) {
  FakeHttp server([](const HttpAsked& asked, int) {
    const bool second = asked.target.find("list-type=2") != std::string::npos;
    if (second) return answer(200, listing({"a", "b", "c"}, ""));  // knows neither list-type nor start-after
    return answer(200, listing({"b", "c"}, ""));                   // and begins with the marker
  });
  auto store = open(server);
  EXPECT_EQ(testing::keys_of(*store->list("", "b", 100)), std::vector<std::string>{"c"});
  EXPECT_NE(server.asked().back().target.find("marker=b"), std::string::npos);
}

TEST(S3Store, RemovesManyWithFewRequests) {
  FakeHttp server([](const HttpAsked& asked, int) {
    if (asked.body.find("<Key>k1500</Key>") != std::string::npos) {
      return answer(200,
                    "<DeleteResult><Error><Key>k1500</Key><Code>AccessDenied</Code></Error></DeleteResult>");
    }
    return answer(200, "<DeleteResult/>");
  });
  std::vector<std::string> keys;
  for (int i = 0; i < 2500; i++) keys.push_back("k" + std::to_string(i));
  const Status status = open(server)->remove_many(keys);
  EXPECT_EQ(code_of(status), EACCES);
  EXPECT_NE(status.error().message.find("remove k1500"), std::string::npos) << status.error().message;
  const auto asked = server.asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].header("content-md5"), md5_base64(asked[0].body));
  EXPECT_NE(asked[2].body.find("<Key>k2499</Key>"), std::string::npos);

  FakeHttp without([](const HttpAsked& request, int) {
    return request.method == "POST" ? error_answer(501, "NotImplemented") : answer(204, "");
  });
  EXPECT_TRUE(open(without)->remove_many(std::span(keys).first(3)));
  EXPECT_EQ(without.asked().size(), 4u);
}

TEST(S3Store, WhatIsNotThereIsRemovedAlready) {
  FakeHttp server(
      [](const HttpAsked&, int n) { return error_answer(404, n == 0 ? "NoSuchKey" : "NoSuchBucket"); });
  auto store = open(server);
  EXPECT_TRUE(store->remove("k"));
  EXPECT_EQ(code_of(store->remove("k")), ENOENT);
}

TEST(S3Store, AnAnswerOf200MayBeAnError) {
  FakeHttp server([](const HttpAsked&, int) { return error_answer(200, "SlowDown"); });
  auto store = open(server);
  EXPECT_EQ(code_of(store->copy("a", "b", {})), EAGAIN);
  EXPECT_EQ(code_of(store->complete_upload("a", "id", {}, {})), EAGAIN);
}

TEST(S3Store, AnswersThatAreNoHttp) {
  for (const char* bytes : {"garbage\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc x\r\n\r\n", "\r\n\r\n"}) {
    FakeHttp server([&](const HttpAsked&, int) { return HttpAnswer{bytes, HttpAnswer::Then::close}; });
    EXPECT_NE(code_of(get(*open(server), 5)), 0) << bytes;
  }
}

TEST(S3Store, AnIdleConnectionThatWasClosedIsMadeAnew) {
  FakeHttp server([](const HttpAsked&, int n) {
    HttpAnswer ok = answer(200, "");
    if (n == 0) ok.then = HttpAnswer::Then::close;  // without saying so
    return ok;
  });
  auto store = open(server);
  EXPECT_TRUE(store->put("k", chain({"first"}), {}));
  EXPECT_TRUE(store->put("k", chain({"sec", "ond"}), {}));
  EXPECT_EQ(server.asked().back().body, "second");
}

}  // namespace
}  // namespace cider::object::s3
