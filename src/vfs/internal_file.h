// An open internal file (.stats, .control ...): bytes that the client makes up.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/caller.h"
#include "base/result.h"

namespace cider::vfs {

// Thread-safe. The destructor ends what the file has set going.
class InternalFile {
 public:
  virtual ~InternalFile() = default;
  // Up to `size` bytes at `off`; empty at the end of what there is now.
  virtual Result<std::string> read(uint64_t off, uint32_t size, std::stop_token stop) = 0;
  virtual Status write(const Caller&, std::string_view) { return fail(EACCES); }
  // As write, through a handle that is open for reading: takes only what changes nothing.
  virtual Status ask(const Caller&, std::string_view) { return fail(ENOTTY); }
};

// A text fixed when the file was opened.
class Snapshot : public InternalFile {
 public:
  explicit Snapshot(std::string text) : text_(std::move(text)) {}
  Result<std::string> read(uint64_t off, uint32_t size, std::stop_token) override {
    return off >= text_.size() ? std::string() : text_.substr(off, size);
  }

 private:
  const std::string text_;
};

}  // namespace cider::vfs
