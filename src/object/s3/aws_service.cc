#include "object/s3/aws_service.h"

#include <algorithm>
#include <array>

namespace cider::object::s3 {
namespace {

constexpr Millis kConnectTimeout{5'000};
constexpr Millis kTimeout{10'000};
constexpr size_t kAnswerLimit = 64 << 10;
constexpr size_t kMaxWords = 300;

// What passes by itself.
constexpr auto kLater = std::to_array<std::string_view>(
    {"Throttling", "ThrottlingException", "IDPCommunicationError", "ServiceUnavailable"});

}  // namespace

std::string aws_service_url(const char* variable, const std::string& service, const std::string& region,
                            const Environment& env) {
  std::string url = env(variable);
  if (url.empty()) {
    url = "https://" + service + "." + region + (region.empty() ? "" : ".") + "amazonaws.com" +
          (region.starts_with("cn-") ? ".cn" : "");
  }
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Result<HttpResponse> ask_aws_service(const std::string& name, HttpRequest request,
                                     const SourceContext& context) {
  request.timeout = kTimeout;
  HttpOptions options;
  options.connect_timeout = kConnectTimeout;
  auto response = HttpClient(options).perform(request, nullptr, context.stop, kAnswerLimit);
  if (response || response.error().code == EINTR) return response;
  return fail(response.error().code, name + " can't be asked for keys: " + response.error().to_string());
}

Error aws_refusal(const std::string& what, int status, const std::string& code, const std::string& message) {
  const bool later = status >= 500 || status == 429 || std::ranges::count(kLater, code) > 0;
  std::string text = what + ": ";
  text += code.empty() ? "status " + std::to_string(status) : code + " (" + std::to_string(status) + ")";
  if (!message.empty()) text += ": " + message;
  return {later ? EAGAIN : EACCES, std::move(text)};
}

std::string service_words(std::string text, std::initializer_list<std::string_view> secrets) {
  constexpr std::string_view kInstead = "(secret)";
  for (const std::string_view secret : secrets) {
    if (secret.empty()) continue;
    size_t at = text.find(secret);
    while (at != text.npos) {
      text.replace(at, secret.size(), kInstead);
      at = text.find(secret, at + kInstead.size());
    }
  }
  text.resize(std::min(text.size(), kMaxWords));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

}  // namespace cider::object::s3
