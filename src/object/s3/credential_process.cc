#include "object/s3/credential_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/interruptible_sleep.h"
#include "base/unique_fd.h"
#include "object/s3/json_fields.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr size_t kOutputLimit = 64 << 10;
constexpr Millis kTick{20};  // how late a stop or the program's end is seen

std::unexpected<Error> say(int code, const std::string& what) {
  return fail(code, "the credential_process " + what);
}

// A command line in words, for as long as it lives.
class Words {
 public:
  static Result<Words> split(const std::string& command) {
    Words words;
    const int code = ::wordexp(command.c_str(), &words.words_, WRDE_NOCMD);
    words.filled_ = code == 0;
    switch (code) {
      case 0:
        break;
      case WRDE_NOSPACE:
        return fail(ENOMEM);
      case WRDE_SYNTAX:
        return say(EINVAL, "has a quote or bracket that doesn't end");
      default:
        return say(
            EINVAL,
            "is run without a shell and has one of | & ; < > ( ) { } or $(...) outside of quotes; put what "
            "needs a shell into a script");
    }
    if (words.words_.we_wordc == 0) return say(EINVAL, "has no command");
    return words;
  }
  Words(Words&& other) noexcept : words_(other.words_), filled_(std::exchange(other.filled_, false)) {}
  ~Words() {
    if (filled_) ::wordfree(&words_);
  }
  char** argv() const { return words_.we_wordv; }

 private:
  Words() = default;

  wordexp_t words_{};
  bool filled_ = false;
};

// A program in a process group of its own, without input, its output in a pipe. What still runs when the
// object goes is killed.
class Program {
 public:
  static Result<Program> start(const Words& words) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe");
    Program program;
    program.output_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int code =
        ::posix_spawnp(&program.pid_, words.argv()[0], &actions, &attributes, words.argv(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
      program.pid_ = -1;
      return say(code, "can't be started: " + Error{code, {}}.to_string());
    }
    return program;
  }
  Program(Program&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
  ~Program() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // What came within a tick; nullopt at the end.
  std::optional<std::string> read() const {
    pollfd ready{output_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(kTick.count())) <= 0) return std::string();
    std::array<char, 4096> piece;
    const ssize_t n = ::read(output_.get(), piece.data(), piece.size());
    if (n > 0) return std::string(piece.data(), static_cast<size_t>(n));
    if (n < 0 && errno == EINTR) return std::string();
    return std::nullopt;
  }
  // As of waitpid(); nullopt while it runs. Where children are not waited for (SIGCHLD is ignored) it has
  // ended well, as far as anybody knows: what it said decides.
  std::optional<int> status() {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) return std::nullopt;
    pid_ = -1;
    return status;
  }

 private:
  Program() = default;

  pid_t pid_ = -1;
  UniqueFd output_;
};

Status ended_well(int status) {
  if (WIFSIGNALED(status)) return say(EACCES, "was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) {
    return say(EACCES, "failed with exit code " + std::to_string(WEXITSTATUS(status)));
  }
  return {};
}

}  // namespace

Result<std::string> process_output(const std::string& command, Millis limit, const std::stop_token& stop) {
  const Words words = TRY(Words::split(command));
  const auto end = Monotonic::now() + limit;
  auto in_time = [&]() -> Status {
    if (stop.stop_requested()) return fail(EINTR);
    if (Monotonic::now() < end) return {};
    return say(ETIMEDOUT, "was not done within " + std::to_string(limit.count() / 1000) + " s");
  };
  Program program = TRY(Program::start(words));
  std::string output;
  while (auto piece = program.read()) {
    output += *piece;
    if (output.size() > kOutputLimit) return say(EACCES, "prints too much");
    TRY(in_time());
  }
  for (;;) {
    if (const auto status = program.status()) {
      TRY(ended_well(*status));
      return output;
    }
    TRY(in_time());
    (void)interruptible_sleep(kTick, stop);
  }
}

Result<Credentials> parse_process_credentials(std::string_view json, int64_t now) {
  const auto parsed = parse_object(json);
  if (parsed.is_null()) return say(EACCES, "prints no JSON object");
  if (integer_field(parsed, "Version") != 1) return say(EACCES, "prints no keys of \"Version\": 1");
  Credentials out{text_field(parsed, "AccessKeyId"),
                  text_field(parsed, "SecretAccessKey"),
                  text_field(parsed, "SessionToken"),
                  {}};
  if (out.access_key.empty() || out.secret_key.empty()) {
    return say(EACCES, "prints no AccessKeyId or no SecretAccessKey");
  }
  if (const std::string text = text_field(parsed, "Expiration"); !text.empty()) {
    out.expires = parse_iso_time(text).sec;
    if (*out.expires <= 0) return say(EACCES, "prints an Expiration that is no time");
    if (*out.expires <= now) return say(EACCES, "prints keys that have expired");
  }
  return out;
}

Result<Credentials> process_credentials(const std::string& command, const SourceContext& context) {
  const std::string output = TRY(process_output(command, kCredentialProcessTimeout, context.stop));
  return parse_process_credentials(output, context.now());
}

}  // namespace cider::object::s3
