// Signed requests to one bucket. One call is one HTTP request, but for the first one that the store answers
// with "this bucket is in another region", which is sent once more to there; later ones go there at once.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "object/s3/compatible.h"
#include "object/s3/credentials.h"
#include "object/s3/endpoint.h"
#include "object/s3/errors.h"
#include "object/s3/http.h"
#include "object/s3/sigv4.h"

namespace cider::object::s3 {

struct Call {
  std::string_view verb;  // for messages: "get"
  std::string method = "GET";
  std::string_view key;  // empty: the bucket
  Pairs query;
  Pairs headers;                       // names in lower case
  const BufferChain* chain = nullptr;  // the body: this, whose bytes are not hashed, or `text`
  std::string text;
  size_t expected = SIZE_MAX;  // bytes of the answer's body, at most
  Millis timeout{60'000};
};

// Thread-safe.
class Client {
 public:
  // Clients of several buckets may have their keys from one source.
  Client(Endpoint endpoint, std::shared_ptr<CredentialSource> keys, HttpOptions http);

  // An answer of 2xx, whose body went to `sink` if there is one.
  Result<HttpResponse> send(const Call& call, const BodySink* sink, std::stop_token stop);
  // Any answer.
  Result<HttpResponse> exchange(const Call& call, const BodySink* sink, std::stop_token stop);
  Error error_of(const HttpResponse& response, const Call& call) const;
  Error with_attempt(Error error, const Call& call) const;

  Endpoint endpoint() const;
  // A URL to read (GET) or write (PUT) an object with, for whoever has it, for some seconds.
  Result<std::string> presign(const std::string& method, std::string_view key, int64_t expires,
                              std::stop_token stop);

 private:
  Result<HttpResponse> once(const Call& call, const BodySink* sink, const std::stop_token& stop);
  // Whether the answer names a region other than the one asked, which is then used from now on.
  bool moved(const HttpResponse& response, const std::string& asked);
  Attempt attempt(const Call& call) const;

  mutable std::mutex mutex_;
  Endpoint endpoint_;
  const std::string bucket_;
  const std::shared_ptr<CredentialSource> credentials_;
  HttpClient http_;
};

}  // namespace cider::object::s3
