// What a store or a service of keys sends, bucket URLs, profile and token files: no crash, no unbounded
// memory.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "object/s3/aws_service.h"
#include "object/s3/compatible.h"
#include "object/s3/credential_process.h"
#include "object/s3/endpoint.h"
#include "object/s3/errors.h"
#include "object/s3/metadata.h"
#include "object/s3/profile_files.h"
#include "object/s3/receive.h"
#include "object/s3/sso.h"
#include "object/s3/sso_token.h"
#include "object/s3/sts.h"
#include "object/s3/xml.h"

namespace {

using namespace cider::object::s3;

// A body in two pieces, with the headers that the input begins with.
void receive(std::string_view text) {
  HttpResponse head;
  head.status = !text.empty() && (text[0] & 1) ? 206 : 200;
  const std::string_view header = text.substr(0, text.find('\n'));
  text.remove_prefix(header.size());
  head.headers = {{"content-range", std::string(header)}, {"x-amz-meta-crc32c", std::string(header)}};
  (void)object_size(head);
  std::array<std::byte, 64> out;
  auto arrived = [&](size_t n) {
    if (n > out.size()) __builtin_trap();
  };
  RangeReceiver receiver("key", header.size(), out, true, arrived);
  const auto bytes = std::as_bytes(std::span(text));
  if (receiver.take(head, bytes.first(bytes.size() / 2)) &&
      receiver.take(head, bytes.subspan(bytes.size() / 2))) {
    (void)receiver.finish(head);
  }
}

// What sources of keys read, in whichever form.
void keys(std::string_view text) {
  (void)parse_metadata_credentials(text);
  (void)parse_process_credentials(text, 0);
  (void)parse_sso_credentials(text);
  (void)parse_sts_answer(text, "AssumeRole");
  if (const auto renewed = renewed_sso_token(text, text, 0); renewed && !parse_sso_token(*renewed))
    __builtin_trap();
  (void)service_words(std::string(text), {"secret", "s"});
  const ProfileFiles files(text, text);
  if (const auto profile = files.profile("default")) (void)profile->get("role_arn");
  (void)files.sso_session("s");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_error(text);
  (void)parse_list(text);
  (void)parse_delete_result(text);
  (void)parse_upload_id(text);
  (void)parse_copy_etag(text);
  (void)parse_uploads(text);
  (void)parse_iso_time(text);
  (void)parse_http_time(text);
  HttpResponse response;
  response.status = 403;
  response.text = text;
  if (error_of(response, {.verb = "get", .key = "k", .bucket = "b"}).code == 0) __builtin_trap();
  receive(text);
  keys(text);
  const Environment none = [](const char*) { return std::string(); };
  for (const Provider& provider : providers()) {
    const auto endpoint = parse_endpoint(provider, text, none);
    if (endpoint && (endpoint->host.empty() || endpoint->bucket.empty())) __builtin_trap();
  }
  return 0;
}
