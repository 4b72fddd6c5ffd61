#include "object/s3/errors.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "object/drivers.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr size_t kMaxWords = 300;
constexpr int64_t kSkew = 300;  // seconds; stores allow 900

constexpr auto kCodes = std::to_array<std::pair<std::string_view, int>>({
    {"NoSuchKey", ENOENT},
    {"NoSuchBucket", ENOENT},
    {"NoSuchUpload", ENOENT},
    {"AccessDenied", EACCES},
    {"AllAccessDisabled", EACCES},
    {"AccountProblem", EACCES},
    {"ExpiredToken", EACCES},
    {"InvalidAccessKeyId", EACCES},
    {"InvalidToken", EACCES},
    {"RequestExpired", EACCES},
    {"RequestTimeTooSkewed", EACCES},
    {"SignatureDoesNotMatch", EACCES},
    {"TokenRefreshRequired", EACCES},
    {"InvalidObjectState", EACCES},  // in an archive class
    {"SlowDown", EAGAIN},
    {"SlowDownRead", EAGAIN},
    {"SlowDownWrite", EAGAIN},
    {"ServiceUnavailable", EAGAIN},
    {"TooManyRequests", EAGAIN},
    {"RequestLimitExceeded", EAGAIN},
    {"ThrottlingException", EAGAIN},
    {"RequestTimeout", ETIMEDOUT},
    {"EntityTooLarge", EFBIG},
    {"MaxSizeExceeded", EFBIG},
    {"EntityTooSmall", EINVAL},
    {"InvalidBucketName", EINVAL},
    {"InvalidStorageClass", EINVAL},
    {"InvalidTag", EINVAL},
    {"KeyTooLongError", ENAMETOOLONG},
    {"QuotaExceeded", ENOSPC},
    {"QuotaExceededException", ENOSPC},
    {"XMinioAdminBucketQuotaExceeded", ENOSPC},
    {"XMinioStorageFull", ENOSPC},
    {"InsufficientCapacity", ENOSPC},
    {"NotImplemented", ENOTSUP},
});

int errno_of(std::string_view code, int status) {
  const auto known = std::ranges::find(kCodes, code, &std::pair<std::string_view, int>::first);
  if (known != kCodes.end()) return known->second;
  switch (status) {
    case 401:
    case 403:
      return EACCES;
    case 404:
      return ENOENT;
    case 408:
    case 504:
      return ETIMEDOUT;
    case 413:
      return EFBIG;
    case 429:
    case 503:
      return EAGAIN;
    case 501:
      return ENOTSUP;
    case 507:
      return ENOSPC;
    default:
      return EIO;
  }
}

// A server's words, without what a terminal would take for more than words.
std::string words(std::string_view text) {
  std::string out(text.substr(0, kMaxWords));
  std::ranges::replace_if(out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::string what(const Attempt& attempt) {
  return std::string(attempt.verb) + " " +
         (attempt.key.empty() ? "bucket " + std::string(attempt.bucket) : std::string(attempt.key));
}

}  // namespace

Error with_attempt(Error error, const Attempt& attempt) {
  if (error.code == EINTR) return error;
  return {error.code, what(attempt) + ": " + (error.message.empty() ? error.to_string() : error.message)};
}

Error error_of_code(std::string_view code, std::string_view message, int status, const Attempt& attempt) {
  const int number = errno_of(code, status);
  if (code == "NoSuchBucket" || (number == ENOENT && attempt.key.empty())) {
    return {ENOENT, "the bucket " + std::string(attempt.bucket) + " does not exist (" + what(attempt) + ")"};
  }
  if (code == "NoSuchKey" || (code.empty() && number == ENOENT)) return {ENOENT, no_object(attempt.key)};
  std::string text = what(attempt) + ": ";
  text += number == EAGAIN ? "the store asked to slow down, " : "the store answers ";
  text +=
      code.empty() ? "status " + std::to_string(status) : words(code) + " (" + std::to_string(status) + ")";
  if (!message.empty()) text += ": " + words(message);
  return {number, std::move(text)};
}

Error error_of(const HttpResponse& response, const Attempt& attempt) {
  const ErrorDocument document = parse_error(response.text).value_or(ErrorDocument{});
  Error error = error_of_code(document.code, document.message, response.status, attempt);
  const int64_t theirs = document.server_time.empty() ? parse_http_time(response.header("date")).sec
                                                      : parse_iso_time(document.server_time).sec;
  const bool skewed = theirs != 0 && std::abs(theirs - attempt.now) > kSkew;
  if (document.code == "RequestTimeTooSkewed" || (error.code == EACCES && skewed)) {
    error.message += "; the clocks differ: this machine's says " + format_time(attempt.now) +
                     ", the store's " + (theirs != 0 ? format_time(theirs) : "another time");
  }
  return error;
}

}  // namespace cider::object::s3
