#include "cli/control_client.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "vfs/control_message.h"

namespace cider::cli {
namespace {

constexpr uint8_t kProgress = 0xFE;
constexpr uint8_t kData = 0xFF;
constexpr size_t kProgressSize = 17;
constexpr size_t kDataHeader = 5;

struct Reply {
  int error = 0;
  std::string json;
};

// Takes complete frames off the front of `bytes`; the reply, when its last frame is there.
std::optional<Reply> take_frames(std::string* bytes, const ControlClient::Progress& progress) {
  while (!bytes->empty()) {
    ByteReader reader(*bytes);
    uint8_t kind = reader.u8();
    if (kind == kProgress) {
      if (bytes->size() < kProgressSize) return std::nullopt;
      uint64_t count = reader.u64();
      progress(count, reader.u64());
      bytes->erase(0, kProgressSize);
    } else if (kind == kData) {
      uint32_t size = reader.u32();
      if (!reader.ok() || bytes->size() < kDataHeader + size) return std::nullopt;
      return Reply{0, bytes->substr(kDataHeader, size)};
    } else {
      return Reply{kind, {}};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<ControlClient> ControlClient::open(const std::string& path) {
  std::filesystem::path dir = TRY(absolute(path));
  struct stat start;
  if (::lstat(dir.c_str(), &start) != 0) return fail_errno(path);
  if (!S_ISDIR(start.st_mode)) dir = dir.parent_path();
  while (true) {
    for (const char* name : {".jfs.control", ".control"}) {
      int fd = ::open((dir / name).c_str(), O_RDWR | O_CLOEXEC);
      if (fd >= 0) return ControlClient(fd, true);
      if (errno == EROFS) fd = ::open((dir / name).c_str(), O_RDONLY | O_CLOEXEC);
      if (fd >= 0) return ControlClient(fd, false);
      if (errno != ENOENT && errno != ENOTDIR) return fail_errno("open " + (dir / name).string());
    }
    struct stat above;
    bool at_top = dir == dir.root_path() || ::stat(dir.parent_path().c_str(), &above) != 0 ||
                  above.st_dev != start.st_dev;
    if (at_top) return fail(ENOTTY, path + " is not inside a CiderFS mount");
    dir = dir.parent_path();
  }
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), writable_(other.writable_), read_from_(other.read_from_) {}

ControlClient::~ControlClient() {
  if (fd_ >= 0) ::close(fd_);
}

Status ControlClient::send(std::string_view bytes) {
  if (!writable_ && ::ioctl(fd_, vfs::control_ioctl(bytes.size()), bytes.data()) != 0) {
    if (errno == ENOTTY) return fail(EROFS, "the mount is read-only, and its client takes no requests then");
    return fail_errno("ioctl on .control");
  }
  if (writable_ && ::write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("write to .control");
  read_from_ += static_cast<off_t>(bytes.size());
  return {};
}

Result<std::string> ControlClient::request(uint32_t command, std::string_view payload,
                                           const Progress& progress) {
  ByteWriter message;
  message.u32(command).u32(static_cast<uint32_t>(payload.size())).raw(payload);
  TRY(send(message.view()));

  std::string received;
  char buffer[64 << 10];
  while (true) {
    ssize_t n = ::pread(fd_, buffer, sizeof buffer, read_from_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read from .control");
    if (n == 0) {  // the mount is still at work
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    received.append(buffer, static_cast<size_t>(n));
    read_from_ += n;
    if (std::optional<Reply> reply = take_frames(&received, progress)) {
      if (reply->error != 0) return fail(reply->error);
      return std::move(reply->json);
    }
  }
}

Result<uint64_t> inode_of(const std::string& path) {
  struct stat stat;
  if (::lstat(path.c_str(), &stat) != 0) return fail_errno(path);
  return stat.st_ino;
}

Result<std::string> absolute(const std::string& path) {
  std::error_code error;
  std::filesystem::path full = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return fail(error.value(), path + ": " + error.message());
  if (full.has_relative_path() && !full.has_filename()) full = full.parent_path();  // "/a/b/" is "/a/b"
  return full.string();
}

}  // namespace cider::cli
