#include "object/s3/receive.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/crc32c.h"
#include "object/drivers.h"

namespace cider::object::s3 {
namespace {

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The first byte that "bytes 5-9/10" has.
std::optional<uint64_t> range_begin(std::string_view range) {
  if (!range.starts_with("bytes ")) return std::nullopt;
  range.remove_prefix(6);
  return number_of<uint64_t>(range.substr(0, range.find('-')));
}

Status check_sum(std::string_view key, uint32_t crc, std::optional<uint32_t> expected) {
  if (!expected || crc == *expected) return {};
  return fail(EBADMSG, "object " + std::string(key) + " is damaged: its CRC-32C is " + std::to_string(crc) +
                           ", its metadata says " + std::to_string(*expected));
}

}  // namespace

std::optional<uint64_t> object_size(const HttpResponse& head) {
  const std::string_view range = head.header("content-range");
  if (const size_t slash = range.find('/'); slash != range.npos)
    return number_of<uint64_t>(range.substr(slash + 1));
  if (head.status == 200) return number_of<uint64_t>(head.header("content-length"));
  return std::nullopt;
}

std::optional<uint32_t> stored_checksum(const HttpResponse& head) {
  return number_of<uint32_t>(head.header("x-amz-meta-crc32c"));
}

Status RangeReceiver::begin(const HttpResponse& head) {
  begun_ = true;
  const auto total = object_size(head);
  if (total && (*total < offset_ || *total - offset_ < out_.size())) {
    return fail(EIO, short_object(key_, *total, offset_ + out_.size()));
  }
  if (head.status == 206) {
    const auto first = range_begin(head.header("content-range"));
    if (first && *first != offset_) {
      return fail(EIO, "get " + std::string(key_) + ": asked for bytes from " + std::to_string(offset_) +
                           ", the store sent them from " + std::to_string(*first));
    }
  } else {
    skip_ = offset_;
  }
  if (verify_ && offset_ == 0 && total == out_.size()) expected_ = stored_checksum(head);
  return {};
}

Status RangeReceiver::take(const HttpResponse& head, std::span<const std::byte> bytes) {
  if (!begun_) TRY(begin(head));
  const size_t skipped = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
  skip_ -= skipped;
  bytes = bytes.subspan(skipped);
  const size_t n = std::min(bytes.size(), out_.size() - filled_);
  if (n > 0) {
    std::memcpy(out_.data() + filled_, bytes.data(), n);
    if (expected_) crc_ = crc32c(crc_, bytes.first(n));
    filled_ += n;
    // Bytes that can be verified count once they are.
    if (!expected_) arrived_(filled_);
  }
  if (n < bytes.size()) return fail(EOVERFLOW);  // enough; see full()
  return {};
}

Status RangeReceiver::finish(const HttpResponse& head) {
  if (!begun_) TRY(begin(head));  // an empty body
  if (filled_ < out_.size()) {
    return fail(EIO, "get " + std::string(key_) + ": the answer ended after " + std::to_string(filled_) +
                         " of " + std::to_string(out_.size()) + " bytes");
  }
  TRY(check_sum(key_, crc_, expected_));
  if (expected_) arrived_(filled_);
  return {};
}

Status WholeReceiver::take(const HttpResponse& head, std::span<const std::byte> bytes) {
  const auto total = object_size(head);
  const uint64_t at_least = std::max<uint64_t>(total.value_or(0), size_ + bytes.size());
  if (at_least > limit_) return fail(EFBIG, large_object(key_, at_least, limit_));
  if (verify_) crc_ = crc32c(crc_, bytes);
  std::memcpy(room_(size_, bytes.size()), bytes.data(), bytes.size());
  size_ += bytes.size();
  return {};
}

Result<size_t> WholeReceiver::finish(const HttpResponse& head) {
  if (const auto total = object_size(head); total && *total != size_) {
    return fail(EIO, "get " + std::string(key_) + ": the answer ended after " + std::to_string(size_) +
                         " of " + std::to_string(*total) + " bytes");
  }
  if (verify_) TRY(check_sum(key_, crc_, stored_checksum(head)));
  return size_;
}

}  // namespace cider::object::s3
