// The other end of `.control`: how tools ask a running mount to do something.
// Protocol: see vfs/control_message.h; it is JuiceFS's, so our tools work on its mounts and the other way
// round.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::cli {

class ControlClient {
 public:
  // The control file of the mount that `path` (a file or directory that exists) lies in. ENOTTY where it
  // isn't in one.
  static Result<ControlClient> open(const std::string& path);

  ControlClient(ControlClient&& other) noexcept;
  ControlClient& operator=(ControlClient&&) = delete;
  ~ControlClient();

  using Progress = std::function<void(uint64_t, uint64_t)>;
  // Sends one request and waits for its end. Answers the JSON of the reply, empty where there is none; the
  // errno that the mount answers is the error.
  Result<std::string> request(uint32_t command, std::string_view payload, const Progress& progress);

 private:
  ControlClient(int fd, bool writable) : fd_(fd), writable_(writable) {}
  Status send(std::string_view bytes);

  int fd_;
  bool writable_;        // else requests go by ioctl
  off_t read_from_ = 0;  // a channel's bytes are what was sent followed by the answers
};

// The inode number of a path; symbolic links are not followed.
Result<uint64_t> inode_of(const std::string& path);

// The path made absolute, as the mount's tools want it.
Result<std::string> absolute(const std::string& path);

}  // namespace cider::cli
