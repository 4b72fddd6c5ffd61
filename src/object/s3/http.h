// HTTP requests over a pool of warm connections (libcurl). One call is one request; nothing is tried again,
// but for a connection that the server closed while it was idle.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/function_ref.h"
#include "base/result.h"

namespace cider::object::s3 {

class Trusted;

// What servers are checked by: of a PEM file or, without one, the system's.
std::shared_ptr<Trusted> certificates_of(const std::string& ca_file);

struct HttpOptions {
  bool verify_tls = true;
  std::string ca_file;  // as certificates_of() has it; or, of several clients,
  std::shared_ptr<Trusted> trusted;
  std::string cert_file;  // PEM, of the client
  std::string key_file;
  std::string user;  // with a password, for basic authentication, or
  std::string password;
  bool digest = false;    // for digests
  bool use_proxy = true;  // of the environment
  std::string user_agent = "CiderFS";
  Millis connect_timeout{10'000};
  Millis first_byte_timeout{30'000};  // from the request's last byte to the answer's first
  Millis stall_timeout{15'000};       // no byte in either direction while a body is under way
  Millis idle_time{60'000};  // after which a connection that nobody needs is closed, by the next request
  // Charged with connections and their buffers; outlives the client. Null: nowhere.
  MemoryBudget* memory = nullptr;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;    // "name: value"
  const BufferChain* chain = nullptr;  // the body: this one, or `text`
  std::string text;
  size_t expected = SIZE_MAX;    // bytes of the body of an answer to GET, at most: few need a small buffer
  bool expect_continue = false;  // asks the server before the body is sent
  Millis timeout{60'000};        // for all of it
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string text;                                          // the body that no sink has taken

  // "" where there is none.
  std::string_view header(std::string_view name) const;
};

// Takes the next bytes of the body of an answer of 2xx, whose status and headers are there; an error ends the
// request and is its result.
using BodySink = FunctionRef<Status(const HttpResponse& head, std::span<const std::byte> bytes)>;

// Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  // The server's answer, whatever its status. Errors: EINTR when `stop` is requested, at once; ETIMEDOUT;
  // ECONNREFUSED, ECONNRESET, EHOSTUNREACH ... as the network says; EPROTO for TLS that is not trusted; EIO
  // for a body that ends early or what is no HTTP; EFBIG for a text that is larger than `text_limit`.
  Result<HttpResponse> perform(const HttpRequest& request, const BodySink* sink, std::stop_token stop,
                               size_t text_limit = size_t{16} << 20);

 private:
  struct Shared;
  struct Handle;
  class Transfer;

  std::unique_ptr<Handle> take_handle(const HttpRequest& request);
  void give_back(std::unique_ptr<Handle> handle);

  const HttpOptions options_;
  const std::unique_ptr<Shared> shared_;
};

}  // namespace cider::object::s3
