// A process in the background, whose starter waits until it is ready.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace cider::cli {

// The child's end of the wire to its starter. When it has reported, the files that its starter has open for
// other purposes are closed: a lock of a script, the end of a pipe would stay in use as long as the child
// lives. Until then a setting may name one of them (/dev/fd/N).
class StartReport {
 public:
  StartReport(int fd, std::vector<int> inherited) : fd_(fd), inherited_(std::move(inherited)) {}
  StartReport(const StartReport&) = delete;
  StartReport& operator=(const StartReport&) = delete;
  ~StartReport() { close(); }

  void ready();
  void failed(std::string_view why);

 private:
  void close();
  int fd_;
  std::vector<int> inherited_;
};

// Standard output and error go to the end of this file, made if it isn't there, from now on.
Status redirect_output(const std::string& path);

// Forks. In the child, a session leader with its output going to `log_file`, runs `body` and exits with what
// it answers. In the parent, waits until the child is ready and answers; the error is what the child said, or
// how it died, or that it took too long (then it is killed). Call before any thread is started.
Status run_in_background(const std::string& log_file, const std::function<int(StartReport&)>& body);

}  // namespace cider::cli
