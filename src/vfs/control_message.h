// The requests that tools write to `.control`, and the frames they read back.
// Format: JuiceFS 1.4 pkg/vfs/internal.go: request = command u32, size u32, `size` bytes; all big-endian.
// Reply = any number of progress frames {0xFE, u64, u64}, then {0xFF, size u32, JSON} or one errno byte.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace cider::vfs {

enum class ControlCommand : uint32_t {
  remove_tree = 1002,
  legacy_info = 1003,
  fill_cache = 1004,
  info = 1005,
  clone = 1006,
  summary = 1007,
  compact = 1008,
  flush_all = 0xCF000001,  // JuiceFS has none
};

// ioctl(2) on an open `.control` with the bytes of a request instead of a write(2) of them, for mounts that
// are read-only; JuiceFS has none. The number carries their size, so a request has at most 16383 bytes.
constexpr bool is_control_ioctl(uint32_t command) {
  return (command & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT)) == _IOC(_IOC_WRITE, 0xCF, 1, 0);
}
constexpr uint32_t control_ioctl(size_t size) {
  return _IOC(_IOC_WRITE, 0xCF, 1, size & _IOC_SIZEMASK);
}

struct RemoveTreeRequest {
  Ino parent = 0;
  std::string name;
  bool skip_trash = false;
};

struct InfoRequest {
  Ino ino = 0;
  bool recursive = true;
  bool raw = false;     // slices instead of objects
  bool strict = false;  // entries counted one by one (they always are)
  bool legacy = false;  // reply as text behind a u32 length
};

struct SummaryRequest {
  Ino ino = 0;
  uint8_t depth = 3;
  uint8_t top = 10;
};

struct CompactRequest {
  Ino ino = 0;
};

enum class CacheAction : uint8_t { fill = 0, evict = 1, check = 2 };

// Paths from the mount's root, or "inode:<number>". In the background the reply comes at once.
struct FillCacheRequest {
  std::vector<std::string> paths;
  uint16_t threads = 50;
  bool background = false;
  CacheAction action = CacheAction::fill;
};

// Stores all data written so far. Progress frames tell how many staged blocks and bytes are left. The reply
// is JSON: "Errno", and "Reason" with what could not be stored.
struct FlushAllRequest {};

using ControlRequest = std::variant<RemoveTreeRequest, InfoRequest, SummaryRequest, CompactRequest,
                                    FillCacheRequest, FlushAllRequest>;

// Whether it removes or rewrites something.
bool changes_files(const ControlRequest& request);

// EINVAL: unknown command or short payload; ENOTSUP: a command that this client does not have.
Result<ControlRequest> parse_control_request(uint32_t command, std::string_view payload);

// Puts one request together from several writes. Not thread-safe.
class ControlAssembler {
 public:
  static constexpr size_t kMaxPayload = 16 << 20;

  struct Message {
    uint32_t command = 0;
    std::string payload;
  };
  // The message that `data` completes, or nothing yet. EIO for bytes beyond a message's end, EINVAL for one
  // that says it is longer than kMaxPayload; both drop what was gathered.
  Result<std::optional<Message>> add(std::string_view data);

 private:
  std::string gathered_;
};

std::string progress_frame(uint64_t done, uint64_t total);
std::string data_frame(std::string_view json);
std::string error_frame(int error);

}  // namespace cider::vfs
