#include "fuse/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace cider::fuse {
namespace {

constexpr const char* kHelper = "fusermount3";
constexpr int kChildSocket = 3;  // the descriptor's number in the helper

struct Outcome {
  bool ok = false;
  std::string said;  // its standard error
};

std::string read_all(int fd) {
  std::string text;
  std::array<char, 512> chunk;
  for (;;) {
    ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(chunk.data(), static_cast<size_t>(n));
  }
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("pipe");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

// Runs the helper to its end. `socket`, if any, becomes its _FUSE_COMMFD.
Result<Outcome> run_helper(std::vector<std::string> arguments, const UniqueFd* socket) {
  auto [read_end, write_end] = TRY(make_pipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // The socket first: its target number might be the pipe's.
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  if (socket) posix_spawn_file_actions_adddup2(&actions, socket->get(), kChildSocket);

  arguments.insert(arguments.begin(), kHelper);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string comm = "_FUSE_COMMFD=" + std::to_string(kChildSocket);
  std::vector<char*> env;
  for (char** variable = environ; *variable; ++variable) env.push_back(*variable);
  if (socket) env.push_back(comm.data());
  env.push_back(nullptr);

  pid_t pid = 0;
  int code = ::posix_spawnp(&pid, kHelper, &actions, nullptr, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) {
    return fail(code, std::string("can't run ") + kHelper + ": " + Error{code, {}}.to_string() +
                          "; install the package fuse3, or mount as root");
  }
  write_end.close();
  Outcome outcome;
  outcome.said = read_all(read_end.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return outcome;
}

Result<UniqueFd> receive_descriptor(int socket) {
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  while ((n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return fail(EIO, std::string(kHelper) + " sent no descriptor");
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

std::string escape_option(const std::string& value) {
  std::string out;
  for (char c : value) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Result<UniqueFd> fusermount(const std::string& mountpoint, const std::string& options) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("socketpair");
  UniqueFd ours(fds[0]);
  UniqueFd theirs(fds[1]);
  Outcome outcome = TRY(run_helper({"-o", options, "--", mountpoint}, &theirs));
  if (!outcome.ok) return fail(EPERM, "can't mount on " + mountpoint + ": " + outcome.said);
  theirs.close();
  return receive_descriptor(ours.get());
}

Status fusermount_unmount(const std::string& mountpoint, bool lazy) {
  std::vector<std::string> arguments{"-u"};
  if (lazy) arguments.push_back("-z");
  arguments.insert(arguments.end(), {"--", mountpoint});
  Outcome outcome = TRY(run_helper(std::move(arguments), nullptr));
  if (!outcome.ok) {
    bool busy = outcome.said.find("busy") != std::string::npos;
    return fail(busy ? EBUSY : EPERM, "can't unmount " + mountpoint + ": " + outcome.said);
  }
  return {};
}

}  // namespace cider::fuse
