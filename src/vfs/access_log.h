// One line per request, for whoever has `.accesslog` open and for the file of --access-log. Costs one atomic
// read when nobody listens. Thread-safe.
//
//   2026.11.22 17:57:30.003330 [uid:0,gid:0,pid:4403] read (17669,8666,4993160,3): (8666) - OK <0.000010>
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/caller.h"
#include "base/result.h"
#include "vfs/internal_file.h"

namespace cider::vfs {

class AccessLog {
 public:
  AccessLog() = default;
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Appends all lines to a file from now on.
  Status append_to(const std::string& path);

  bool active() const { return listeners_.load(std::memory_order_relaxed) > 0; }
  // `operation` is name, arguments and result: "unlink (1,a)". A reader that is too slow loses lines.
  void write(const Caller& caller, std::string_view operation, int error, std::chrono::duration<double> took);

  // A new reader of lines written from now on. It must not outlive the log.
  std::unique_ptr<InternalFile> open();

 private:
  class Reader;

  std::atomic<int> listeners_{0};
  std::mutex mutex_;
  std::vector<Reader*> readers_;
  int file_ = -1;
};

// "OK", or the error's text in lower case.
std::string log_result(int error);
// A mode as `ls -l` shows it: "drwxr-xr-x".
std::string log_mode(uint32_t mode);
// A name or target with control characters, quotes and bad bytes escaped, so that a line stays a line.
std::string log_text(std::string_view text);

}  // namespace cider::vfs
