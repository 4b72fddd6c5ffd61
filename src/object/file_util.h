// Small things around file descriptors and directories, for the file driver.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/buffer.h"
#include "base/result.h"
#include "base/types.h"

namespace cider::object {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { close(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  int close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_ = -1;
};

inline Time mtime_of(const struct stat& st) {
  return {st.st_mtim.tv_sec, static_cast<uint32_t>(st.st_mtim.tv_nsec)};
}

// "/a/b" of "/a/b/c"; "/" of "/a".
std::string parent_of(const std::string& path);

// Makes `path` and what is missing above it, mode 0777 less the umask. The first `existing` bytes are taken
// to be there.
Status make_directories(const std::string& path, size_t existing);

Status sync_directory(const std::string& path);

Status write_all(const Fd& file, const BufferChain& data, const std::string& path);

}  // namespace cider::object
