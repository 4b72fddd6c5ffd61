// AWS Signature Version 4, as S3 wants it
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html): the path is encoded
// once, and a hash stands for the payload. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cider::object::s3 {

// Names in lower case for headers, plain (not encoded) text for queries.
using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Signer {
  std::string access_key;
  std::string secret_key;
  std::string region;
  std::string service = "s3";
};

struct RequestToSign {
  std::string_view method;
  std::string path;  // encoded, begins with '/'
  Pairs query;       // plain
  Pairs headers;     // all of them are signed; with host and, but for a presigned query, x-amz-date
  std::string payload_hash;
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// Everything but letters, digits and -._~ as %XX; a '/' stays where `keep_slash` says so.
std::string uri_encode(std::string_view text, bool keep_slash);
// "a=1&b=": encoded, in the order that the signature demands.
std::string canonical_query(const Pairs& query);
// "20130524T000000Z", of seconds since 1970.
std::string amz_date(int64_t seconds);
std::string sha256_hex(std::string_view text);
std::string md5_base64(std::string_view text);

std::string canonical_request(const RequestToSign& request);
// The value of the header Authorization; `date` as amz_date() gives it.
std::string authorization(const Signer& signer, const RequestToSign& request, std::string_view date);
// The query of a URL that anybody may use for `expires` seconds. The session token, if any, goes into
// request.query as X-Amz-Security-Token.
std::string presigned_query(const Signer& signer, RequestToSign request, std::string_view date,
                            int64_t expires);

}  // namespace cider::object::s3
