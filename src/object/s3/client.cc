#include "object/s3/client.h"

#include "base/clock.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {

Client::Client(Endpoint endpoint, std::shared_ptr<CredentialSource> keys, HttpOptions http)
    : endpoint_(std::move(endpoint)),
      bucket_(endpoint_.bucket),
      credentials_(std::move(keys)),
      http_(std::move(http)) {}

Endpoint Client::endpoint() const {
  std::lock_guard lock(mutex_);
  return endpoint_;
}

Attempt Client::attempt(const Call& call) const {
  return {.verb = call.verb, .key = call.key, .bucket = bucket_, .now = Clock::system().now().sec};
}

Error Client::error_of(const HttpResponse& response, const Call& call) const {
  return s3::error_of(response, attempt(call));
}

Error Client::with_attempt(Error error, const Call& call) const {
  return s3::with_attempt(std::move(error), attempt(call));
}

Result<HttpResponse> Client::send(const Call& call, const BodySink* sink, std::stop_token stop) {
  HttpResponse response = TRY(exchange(call, sink, std::move(stop)));
  if (response.status / 100 != 2) return fail(error_of(response, call));
  return response;
}

Result<HttpResponse> Client::exchange(const Call& call, const BodySink* sink, std::stop_token stop) {
  const std::string asked = endpoint().region;
  auto response = once(call, sink, stop);
  if (response && response->status / 100 != 2 && moved(*response, asked)) response = once(call, sink, stop);
  if (!response) return fail(with_attempt(std::move(response).error(), call));
  return response;
}

Result<HttpResponse> Client::once(const Call& call, const BodySink* sink, const std::stop_token& stop) {
  const Endpoint endpoint = this->endpoint();
  const Credentials keys = TRY(credentials_->get(stop));
  RequestToSign to_sign = {
      .method = call.method,
      .path = endpoint.path(call.key),
      .query = call.query,
      .headers = call.headers,
      .payload_hash = call.chain ? std::string(kUnsignedPayload) : sha256_hex(call.text)};
  HttpRequest request;
  const std::string date = amz_date(Clock::system().now().sec);
  if (!keys.anonymous()) {
    to_sign.headers.emplace_back("x-amz-date", date);
    to_sign.headers.emplace_back("x-amz-content-sha256", to_sign.payload_hash);
    if (!keys.session_token.empty()) to_sign.headers.emplace_back("x-amz-security-token", keys.session_token);
  }
  for (const auto& [name, value] : to_sign.headers) {
    request.headers.emplace_back(name).append(": ").append(value);
  }
  if (!keys.anonymous()) {
    to_sign.headers.emplace_back("host", endpoint.url_host());
    const Signer signer = {
        .access_key = keys.access_key, .secret_key = keys.secret_key, .region = endpoint.region};
    request.headers.push_back("authorization: " + authorization(signer, to_sign, date));
  }
  request.method = call.method;
  request.url = (endpoint.tls ? "https://" : "http://") + endpoint.url_host() + to_sign.path;
  if (!call.query.empty()) request.url += "?" + canonical_query(call.query);
  request.chain = call.chain;
  request.text = call.text;
  request.expected = call.expected;
  request.expect_continue = call.chain && endpoint.expect_continue;
  request.timeout = call.timeout;
  return http_.perform(request, sink, stop);
}

bool Client::moved(const HttpResponse& response, const std::string& asked) {
  std::string region(response.header("x-amz-bucket-region"));
  const auto document = parse_error(response.text);
  // A wrong region in the signature is a 400, a bucket elsewhere a 301 or 307; HEAD has no document.
  const bool about_region = response.status == 301 || response.status == 307 || response.status == 400;
  if (!about_region) return false;
  if (region.empty() && document) region = document->region;
  std::lock_guard lock(mutex_);
  if (endpoint_.region != asked) return true;  // somebody else has learned it meanwhile
  if (region.empty() || region == asked) return false;
  endpoint_.region = region;
  if (endpoint_.amazon) {
    endpoint_.host =
        "s3." + region + (endpoint_.host.ends_with(".cn") ? ".amazonaws.com.cn" : ".amazonaws.com");
  }
  return true;
}

Result<std::string> Client::presign(const std::string& method, std::string_view key, int64_t expires,
                                    std::stop_token stop) {
  const Endpoint endpoint = this->endpoint();
  const Credentials keys = TRY(credentials_->get(std::move(stop)));
  if (keys.anonymous()) return fail(EACCES, "there are no keys to sign a URL with");
  RequestToSign to_sign = {.method = method,
                           .path = endpoint.path(key),
                           .query = {},
                           .headers = {{"host", endpoint.url_host()}},
                           .payload_hash = std::string(kUnsignedPayload)};
  if (!keys.session_token.empty()) to_sign.query.emplace_back("X-Amz-Security-Token", keys.session_token);
  const Signer signer = {
      .access_key = keys.access_key, .secret_key = keys.secret_key, .region = endpoint.region};
  return endpoint.url(key) + "?" +
         presigned_query(signer, std::move(to_sign), amz_date(Clock::system().now().sec), expires);
}

}  // namespace cider::object::s3
