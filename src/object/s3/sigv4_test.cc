// The examples that AWS publishes for S3: "Authenticating Requests: Using the Authorization Header" and
// "Using Query Parameters".
#include "object/s3/sigv4.h"

#include <gtest/gtest.h>

namespace cider::object::s3 {
namespace {

const Signer kSigner = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                        .region = "us-east-1"};
constexpr std::string_view kDate = "20130524T000000Z";
const std::string kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string signature_of(const RequestToSign& request) {
  const std::string header = authorization(kSigner, request, kDate);
  return header.substr(header.rfind('=') + 1);
}

RequestToSign get_bucket(Pairs query) {
  return {.method = "GET",
          .path = "/",
          .query = std::move(query),
          .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                      {"x-amz-content-sha256", kEmptyHash},
                      {"x-amz-date", std::string(kDate)}},
          .payload_hash = kEmptyHash};
}

TEST(SigV4, GetObjectWithRange) {
  RequestToSign request = get_bucket({});
  request.path = "/test.txt";
  request.headers.emplace_back("range", "bytes=0-9");
  EXPECT_EQ(sha256_hex(canonical_request(request)),
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
  EXPECT_EQ(authorization(kSigner, request, kDate),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutObject) {
  const std::string hash = sha256_hex("Welcome to Amazon S3.");
  const RequestToSign request = {.method = "PUT",
                                 .path = "/" + uri_encode("test$file.text", true),
                                 .query = {},
                                 .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                             {"host", "examplebucket.s3.amazonaws.com"},
                                             {"x-amz-content-sha256", hash},
                                             {"x-amz-date", std::string(kDate)},
                                             {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                 .payload_hash = hash};
  EXPECT_EQ(signature_of(request), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, GetBucketLifecycleAndList) {
  EXPECT_EQ(signature_of(get_bucket({{"lifecycle", ""}})),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(signature_of(get_bucket({{"prefix", "J"}, {"max-keys", "2"}})),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, PresignedUrl) {
  const RequestToSign request = {.method = "GET",
                                 .path = "/test.txt",
                                 .query = {},
                                 .headers = {{"host", "examplebucket.s3.amazonaws.com"}},
                                 .payload_hash = std::string(kUnsignedPayload)};
  EXPECT_EQ(presigned_query(kSigner, request, kDate, 86400),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, EncodesAndOrders) {
  EXPECT_EQ(uri_encode("a b/\xc3\xa9~-._+", true), "a%20b/%C3%A9~-._%2B");
  EXPECT_EQ(uri_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(canonical_query({{"b", "2"}, {"a-", "x"}, {"a", "2"}, {"a", "1"}, {"uploads", ""}}),
            "a=1&a=2&a-=x&b=2&uploads=");
  EXPECT_EQ(amz_date(1369353600), "20130524T000000Z");
  EXPECT_EQ(md5_base64("hello"), "XUFAKrxLKna5cZ2REBfFkg==");
}

}  // namespace
}  // namespace cider::object::s3
