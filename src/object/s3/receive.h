// Where the body of a GET goes, and whether it is what was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/result.h"
#include "object/s3/http.h"

namespace cider::object::s3 {

// The size of the whole object that an answer is of, from Content-Range ("bytes 0-4/5", "bytes */5") or, of
// an answer with all of it, Content-Length.
std::optional<uint64_t> object_size(const HttpResponse& head);
// Metadata `Crc32c`.
std::optional<uint32_t> stored_checksum(const HttpResponse& head);

// Takes bytes [offset, offset + out.size()) of an object into `out`. Not thread-safe.
class RangeReceiver {
 public:
  RangeReceiver(std::string_view key, uint64_t offset, std::span<std::byte> out, bool verify,
                FunctionRef<void(size_t)> arrived)
      : key_(key), offset_(offset), out_(out), verify_(verify), arrived_(arrived) {}

  Status take(const HttpResponse& head, std::span<const std::byte> bytes);
  // All of `out` is there, though the body may go on: a store that knows no ranges sends the whole object.
  bool full() const { return begun_ && filled_ == out_.size(); }
  // When the body has ended: whether it was all, and undamaged. `head` is of the answer.
  Status finish(const HttpResponse& head);

 private:
  Status begin(const HttpResponse& head);

  const std::string_view key_;
  const uint64_t offset_;
  const std::span<std::byte> out_;
  const bool verify_;
  const FunctionRef<void(size_t)> arrived_;
  bool begun_ = false;
  uint64_t skip_ = 0;
  size_t filled_ = 0;
  uint32_t crc_ = 0;
  std::optional<uint32_t> expected_;
};

// Takes a whole object of unknown size. Not thread-safe.
class WholeReceiver {
 public:
  // `room` answers where the next n bytes go; an error refuses them.
  WholeReceiver(std::string_view key, size_t limit, bool verify,
                FunctionRef<std::byte*(size_t at, size_t size)> room)
      : key_(key), limit_(limit), verify_(verify), room_(room) {}

  Status take(const HttpResponse& head, std::span<const std::byte> bytes);
  Result<size_t> finish(const HttpResponse& head);

 private:
  const std::string_view key_;
  const size_t limit_;
  const bool verify_;
  const FunctionRef<std::byte*(size_t at, size_t size)> room_;
  size_t size_ = 0;
  uint32_t crc_ = 0;
};

}  // namespace cider::object::s3
