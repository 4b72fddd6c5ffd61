// Reads the arguments of a request, which are of unknown origin: fixed structures, then names that end with
// NUL.
#pragma once

#include <cstring>
#include <string_view>
#include <type_traits>

namespace cider::fuse {

// After the first read beyond the end, or a name without NUL, every read answers zeros and ok() is false: a
// handler reads all its arguments and tests once.
class ArgReader {
 public:
  explicit ArgReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    std::string_view bytes = take(sizeof(T));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  // A string up to its NUL.
  std::string_view text() {
    size_t end = rest_.find('\0');
    if (end == std::string_view::npos) return fail();
    std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return found;
  }

  // The name of a directory entry: not empty, without a slash.
  std::string_view name() {
    std::string_view found = text();
    if (found.empty() || found.find('/') != std::string_view::npos) return fail();
    return found;
  }

  std::string_view take(size_t size) {
    if (rest_.size() < size) return fail();
    std::string_view found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
  }

  bool ok() const { return ok_; }

 private:
  std::string_view fail() {
    ok_ = false;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace cider::fuse
