#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>

#include "base/tls.h"
#include "object/redis/redis_stream.h"

namespace cider::object {
namespace {

Result<TlsSession> make_session(int socket, const std::string& host) {
  const TlsContext context = TRY(new_tls_context());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_verify_paths(context.get());
  return new_tls_session(context.get(), socket, host);
}

class TlsStream final : public RedisStream {
 public:
  TlsStream(UniqueFd socket, TlsSession session) : socket_(std::move(socket)), ssl_(std::move(session)) {}

  Status shake_hands(Waiter& waiter, Millis limit) {
    const auto done = step([this] { return SSL_connect(ssl_.get()); }, waiter, limit);
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK) {
      return fail(EACCES, std::string("TLS: the server's certificate does not hold: ") +
                              X509_verify_cert_error_string(verdict));
    }
    if (!done) return fail(done.error().code, "TLS handshake: " + done.error().message);
    return *done > 0 ? Status{} : fail(ECONNRESET, "TLS handshake: the server has closed the connection");
  }

  Result<size_t> send(std::span<const iovec> pieces, Waiter& waiter, Millis limit) override {
    const auto piece = std::ranges::find_if(pieces, [](const iovec& p) { return p.iov_len > 0; });
    if (piece == pieces.end()) return size_t{0};
    const auto write = [&] { return SSL_write(ssl_.get(), piece->iov_base, clamp(piece->iov_len)); };
    const size_t sent = TRY(step(write, waiter, limit));
    if (sent == 0) return fail(EPIPE, "the Redis server has closed the connection");
    return sent;
  }

  Result<size_t> receive(std::span<char> out, Waiter& waiter, Millis limit) override {
    return step([&] { return SSL_read(ssl_.get(), out.data(), clamp(out.size())); }, waiter, limit);
  }

 private:
  static int clamp(size_t size) { return static_cast<int>(std::min<size_t>(size, 1 << 30)); }

  // Repeats one call of the library until it has made progress; 0 when the server has closed the connection.
  template <class Call>
  Result<size_t> step(Call call, Waiter& waiter, Millis limit) {
    while (true) {
      ERR_clear_error();
      errno = 0;
      const int n = call();
      const int code = errno;
      switch (n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), n)) {
        case SSL_ERROR_NONE:
          return static_cast<size_t>(n);
        case SSL_ERROR_WANT_READ:
          TRY(waiter.wait(socket_.get(), POLLIN, limit));
          break;
        case SSL_ERROR_WANT_WRITE:
          TRY(waiter.wait(socket_.get(), POLLOUT, limit));
          break;
        case SSL_ERROR_ZERO_RETURN:
          return size_t{0};
        case SSL_ERROR_SYSCALL:
          return fail(code != 0 ? code : ECONNRESET, "the connection to the Redis server broke");
        default:
          return fail(ECONNRESET, "TLS: " + tls_reason());
      }
    }
  }

  const UniqueFd socket_;
  const TlsSession ssl_;
};

}  // namespace

Result<std::unique_ptr<RedisStream>> tls_stream(UniqueFd socket, const std::string& host, Waiter& waiter,
                                                Millis limit) {
  TlsSession session = TRY(make_session(socket.get(), host));
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(session));
  TRY(stream->shake_hands(waiter, limit));
  return stream;
}

}  // namespace cider::object
