#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>

#include "object/redis/redis_stream.h"

namespace cider::object {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(SSL* session) const { SSL_free(session); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;
using Session = std::unique_ptr<SSL, FreeSession>;

// The library's reason for the last error, and forgets it.
std::string reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "unknown reason" : text;
}

bool is_ip(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// What the certificate must name.
bool expect_name(SSL* ssl, const std::string& host) {
  if (is_ip(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

Result<Session> make_session(int socket, const std::string& host) {
  const Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(ENOMEM, "TLS: " + reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_verify_paths(context.get());
  Session session(SSL_new(context.get()));
  if (!session || SSL_set_fd(session.get(), socket) != 1 || !expect_name(session.get(), host)) {
    return fail(EINVAL, "TLS: " + reason());
  }
  return session;
}

class TlsStream final : public RedisStream {
 public:
  TlsStream(UniqueFd socket, Session session) : socket_(std::move(socket)), ssl_(std::move(session)) {}

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
          return fail(ECONNRESET, "TLS: " + reason());
      }
    }
  }

  const UniqueFd socket_;
  const Session ssl_;
};

}  // namespace

Result<std::unique_ptr<RedisStream>> tls_stream(UniqueFd socket, const std::string& host, Waiter& waiter,
                                                Millis limit) {
  Session session = TRY(make_session(socket.get(), host));
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(session));
  TRY(stream->shake_hands(waiter, limit));
  return stream;
}

}  // namespace cider::object
