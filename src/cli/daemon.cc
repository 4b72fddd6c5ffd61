#include "cli/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace cider::cli {
namespace {

constexpr std::chrono::seconds kStartLimit{60};
constexpr char kReady = '+';
constexpr char kFailed = '-';

Result<int> open_log(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directory(std::filesystem::path(path).parent_path(),
                                    error);  // open() tells if that failed
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  // Not in the place of an input or output that the caller has closed.
  const int fd = file ? ::fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
  if (fd >= 0) return fd;
  int code = errno;
  return fail(code, "can't open the log " + path + ": " + Error{code, {}}.to_string() +
                        "; choose another with --log");
}

// What this program opens itself is close-on-exec.
std::vector<int> inherited_files() {
  std::vector<int> inherited;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    const int flags = fd > STDERR_FILENO ? ::fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  return inherited;
}

void use_as_output(int fd) {
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
}

// What the child sent until it closed the wire; nullopt when the time is over.
std::optional<std::string> receive(int fd) {
  const auto end = std::chrono::steady_clock::now() + kStartLimit;
  std::string received;
  while (true) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd wait = {fd, POLLIN, 0};
    int events = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
    if (events < 0 && errno == EINTR) continue;
    if (events <= 0) return std::nullopt;
    char buffer[4096];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return received;
    received.append(buffer, static_cast<size_t>(n));
  }
}

std::string how_it_died(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return "the process in the background is gone";
  if (WIFSIGNALED(status))
    return "the process in the background was killed by signal " + std::to_string(WTERMSIG(status));
  return "the process in the background exited with " + std::to_string(WEXITSTATUS(status));
}

Status await_child(pid_t child, int fd, const std::string& log_file) {
  std::optional<std::string> report = receive(fd);
  if (!report) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return fail(ETIMEDOUT, "the mount was not ready within " + std::to_string(kStartLimit.count()) +
                               " s; see " + log_file);
  }
  if (report->starts_with(kReady)) return {};
  if (report->starts_with(kFailed)) {
    ::waitpid(child, nullptr, 0);
    return fail(EIO, report->substr(1));
  }
  return fail(EIO, how_it_died(child) + " before it was ready; see " + log_file);
}

}  // namespace

void StartReport::ready() {
  if (fd_ >= 0 && ::write(fd_, &kReady, 1) != 1) return close();  // the starter is gone, and nobody waits
  close();
}

void StartReport::failed(std::string_view why) {
  std::string text = kFailed + std::string(why);
  if (fd_ >= 0 && ::write(fd_, text.data(), text.size()) < 0) return close();
  close();
}

void StartReport::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  for (const int fd : std::exchange(inherited_, {})) ::close(fd);
}

Status redirect_output(const std::string& path) {
  use_as_output(TRY(open_log(path)));
  return {};
}

Status run_in_background(const std::string& log_file, const std::function<int(StartReport&)>& body) {
  int log = TRY(open_log(log_file));
  int wire[2];
  if (::pipe2(wire, O_CLOEXEC) != 0) return fail_errno("pipe");
  pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    ::close(wire[0]);
    ::setsid();
    ::signal(SIGPIPE, SIG_IGN);
    use_as_output(log);
    int code = 1;
    {
      StartReport report(wire[1], inherited_files());
      code = body(report);
    }
    std::exit(code);
  }
  ::close(wire[1]);
  ::close(log);
  Status started = await_child(child, wire[0], log_file);
  ::close(wire[0]);
  return started;
}

}  // namespace cider::cli
