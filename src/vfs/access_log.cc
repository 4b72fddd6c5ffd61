#include "vfs/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/log.h"

namespace cider::vfs {

// Lines for one open `.accesslog`.
class AccessLog::Reader : public InternalFile {
 public:
  explicit Reader(AccessLog& log) : log_(log) {}
  ~Reader() override {
    std::lock_guard lock(log_.mutex_);
    std::erase(log_.readers_, this);
    log_.listeners_.fetch_sub(1);
  }

  void push(std::string_view line) {
    std::lock_guard lock(mutex_);
    if (pending_.size() + line.size() > kMaxPending) return;
    pending_.append(line);
    arrived_.notify_one();
  }

  // Waits up to a second for a line; "#\n" shows that the file system lives, so that `cat` does not end.
  Result<std::string> read(uint64_t, uint32_t size, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return !pending_.empty(); });
    if (stop.stop_requested()) return fail(EINTR);
    if (pending_.empty()) return std::string("#\n").substr(0, size);
    std::string out = pending_.substr(0, size);
    pending_.erase(0, out.size());
    return out;
  }

 private:
  static constexpr size_t kMaxPending = 2 << 20;
  AccessLog& log_;
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::string pending_;
};

AccessLog::~AccessLog() {
  if (file_ >= 0) close(file_);
}

Status AccessLog::append_to(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return fail_errno("cannot open the access log " + path);
  std::lock_guard lock(mutex_);
  if (file_ >= 0) {
    close(file_);
  } else {
    listeners_.fetch_add(1);
  }
  file_ = fd;
  return {};
}

std::unique_ptr<InternalFile> AccessLog::open() {
  auto reader = std::make_unique<Reader>(*this);
  std::lock_guard lock(mutex_);
  readers_.push_back(reader.get());
  listeners_.fetch_add(1);
  return reader;
}

void AccessLog::write(const Caller& caller, std::string_view operation, int error,
                      std::chrono::duration<double> took) {
  timeval now{};
  gettimeofday(&now, nullptr);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  char head[128];
  snprintf(head, sizeof head, "%04d.%02d.%02d %02d:%02d:%02d.%06ld [uid:%u,gid:%u,pid:%u] ",
           local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
           static_cast<long>(now.tv_usec), caller.uid, caller.gid, caller.pid);
  char tail[32];
  snprintf(tail, sizeof tail, " <%.6f>\n", took.count());
  std::string line = head;
  line.append(operation).append(" - ").append(log_result(error)).append(tail);

  std::lock_guard lock(mutex_);
  for (Reader* reader : readers_) reader->push(line);
  if (file_ >= 0 && ::write(file_, line.data(), line.size()) < 0) {
    log::warning(std::string("access log: ") + strerror(errno));
    close(file_);
    file_ = -1;
    listeners_.fetch_sub(1);
  }
}

std::string log_result(int error) {
  if (error == 0) return "OK";
  std::string text = strerror(error);
  if (!text.empty()) text[0] = static_cast<char>(tolower(text[0]));
  return text;
}

std::string log_mode(uint32_t mode) {
  char type = '?';
  switch (mode & S_IFMT) {
    case S_IFREG:
      type = '-';
      break;
    case S_IFDIR:
      type = 'd';
      break;
    case S_IFLNK:
      type = 'l';
      break;
    case S_IFIFO:
      type = 'f';
      break;
    case S_IFSOCK:
      type = 's';
      break;
    case S_IFCHR:
      type = 'c';
      break;
    case S_IFBLK:
      type = 'b';
      break;
    default:
      break;
  }
  std::string out(1, type);
  const char* letters = "rwxrwxrwx";
  for (int i = 0; i < 9; ++i) out.push_back((mode >> (8 - i)) & 1 ? letters[i] : '-');
  const auto special = [&](uint32_t bit, size_t place, char letter) {
    if (mode & bit) out[place] = out[place] == 'x' ? letter : static_cast<char>(toupper(letter));
  };
  special(S_ISUID, 3, 's');
  special(S_ISGID, 6, 's');
  special(S_ISVTX, 9, 't');
  return out;
}

std::string log_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '"' || c == '\\') {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace cider::vfs
