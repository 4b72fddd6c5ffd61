// Fixed-width integers in byte strings. The volume format is big-endian; ordered-KV keys and FUSE are
// little-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace cider {

template <std::unsigned_integral T>
T byteswap_if(T value, std::endian order) {
  if (order == std::endian::native) return value;
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

// Appends integers to a string. Not thread-safe.
class ByteWriter {
 public:
  explicit ByteWriter(std::endian order = std::endian::big) : order_(order) {}

  ByteWriter& u8(uint8_t v) { return put(v); }
  ByteWriter& u16(uint16_t v) { return put(v); }
  ByteWriter& u32(uint32_t v) { return put(v); }
  ByteWriter& u64(uint64_t v) { return put(v); }
  ByteWriter& raw(std::string_view bytes) {
    out_.append(bytes);
    return *this;
  }
  std::string take() { return std::move(out_); }
  std::string_view view() const { return out_; }

 private:
  template <std::unsigned_integral T>
  ByteWriter& put(T v) {
    v = byteswap_if(v, order_);
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
    return *this;
  }

  std::endian order_;
  std::string out_;
};

// Reads integers from bytes of unknown origin. After the first read beyond the end every read answers 0 and
// ok() is false, so a decoder may read a whole record and test once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, std::endian order = std::endian::big)
      : rest_(bytes), order_(order) {}

  uint8_t u8() { return get<uint8_t>(); }
  uint16_t u16() { return get<uint16_t>(); }
  uint32_t u32() { return get<uint32_t>(); }
  uint64_t u64() { return get<uint64_t>(); }
  std::string_view raw(size_t n) {
    if (rest_.size() < n) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }

 private:
  template <std::unsigned_integral T>
  T get() {
    std::string_view bytes = raw(sizeof(T));
    if (bytes.size() != sizeof(T)) return 0;
    T v;
    std::memcpy(&v, bytes.data(), sizeof v);
    return byteswap_if(v, order_);
  }

  std::string_view rest_;
  std::endian order_;
  bool ok_ = true;
};

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view hex);

}  // namespace cider
