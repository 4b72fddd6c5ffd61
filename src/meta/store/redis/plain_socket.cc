#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "meta/store/redis/socket.h"

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

class PlainSocket final : public Socket {
 public:
  PlainSocket(UniqueFd fd, milliseconds write_timeout) : fd_(std::move(fd)), write_timeout_(write_timeout) {}

  Status send(std::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        TRY(wait_ready(fd_.get(), POLLOUT, write_timeout_));
      } else if (errno != EINTR) {
        return fail_errno("send to Redis");
      }
    }
    return {};
  }

  // Where replies come within microseconds, going to sleep and being woken would take longer than they do.
  Result<size_t> receive(std::span<char> out, milliseconds limit) override {
    const auto begin = Monotonic::now();
    const bool is_near = usual_wait_ < kNear && !expects_silence_;
    while (true) {
      ssize_t n = ::recv(fd_.get(), out.data(), out.size(), MSG_DONTWAIT);
      if (n > 0) {
        usual_wait_ += (Monotonic::now() - begin - usual_wait_) / 8;
        return static_cast<size_t>(n);
      }
      if (n == 0) return fail(ECONNRESET, "Redis closed the connection");
      if (errno != EINTR && errno != EAGAIN) return fail_errno("receive from Redis");
      if (is_near && Monotonic::now() - begin < kNear) {
        ::sched_yield();
      } else {
        Status ready = wait_ready(fd_.get(), POLLIN, limit);
        if (!ready && ready.error().code == ETIMEDOUT) return size_t{0};
        TRY(std::move(ready));
      }
    }
  }

  void expect_silence() override { expects_silence_ = true; }
  void shut_down() override { ::shutdown(fd_.get(), SHUT_RDWR); }

 private:
  using Monotonic = std::chrono::steady_clock;
  static constexpr Monotonic::duration kNear = std::chrono::microseconds(200);

  const UniqueFd fd_;
  const milliseconds write_timeout_;
  Monotonic::duration usual_wait_{};  // of late
  bool expects_silence_ = false;
};

}  // namespace

std::unique_ptr<Socket> plain_socket(UniqueFd fd, milliseconds write_timeout) {
  return std::make_unique<PlainSocket>(std::move(fd), write_timeout);
}

Status wait_ready(int fd, short events, milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ETIMEDOUT, "Redis did not answer in time");
    pollfd p{fd, events, 0};
    int n = ::poll(&p, 1, static_cast<int>(left.count()));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return fail_errno("poll");
  }
}

}  // namespace cider::meta::redis
