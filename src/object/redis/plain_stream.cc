#include <poll.h>
#include <sys/socket.h>

#include "object/redis/redis_stream.h"

namespace cider::object {
namespace {

class PlainStream final : public RedisStream {
 public:
  explicit PlainStream(UniqueFd socket) : socket_(std::move(socket)) {}

  Result<size_t> send(std::span<const iovec> pieces, Waiter& waiter, Millis limit) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    while (true) {
      const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
      if (sent >= 0) return static_cast<size_t>(sent);
      if (errno == EAGAIN) {
        TRY(waiter.wait(socket_.get(), POLLOUT, limit));
      } else if (errno != EINTR) {
        return fail_errno("send to the Redis server");
      }
    }
  }

  Result<size_t> receive(std::span<char> out, Waiter& waiter, Millis limit) override {
    while (true) {
      const ssize_t got = ::recv(socket_.get(), out.data(), out.size(), 0);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno == EAGAIN) {
        TRY(waiter.wait(socket_.get(), POLLIN, limit));
      } else if (errno != EINTR) {
        return fail_errno("receive from the Redis server");
      }
    }
  }

 private:
  const UniqueFd socket_;
};

}  // namespace

std::unique_ptr<RedisStream> plain_stream(UniqueFd socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace cider::object
