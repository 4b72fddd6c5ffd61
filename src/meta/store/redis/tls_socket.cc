#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <mutex>

#include "base/tls.h"
#include "meta/store/redis/socket.h"

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

std::unexpected<Error> bad_file(const std::string& option, const std::string& path) {
  return fail(EINVAL, "META URL: " + option + " " + path + " cannot be used: " + tls_reason());
}

Result<TlsContext> make_context(const TlsOptions& options) {
  TlsContext context = TRY(new_tls_context());
  SSL_CTX* c = context.get();
  SSL_CTX_set_verify(c, options.skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!options.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(c, options.ca_file.c_str(), nullptr) != 1)
      return bad_file("tls-ca-cert-file", options.ca_file);
  } else {
    SSL_CTX_set_default_verify_paths(c);
  }
  if (options.cert_file.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(c, options.cert_file.c_str()) != 1)
    return bad_file("tls-cert-file", options.cert_file);
  if (SSL_CTX_use_PrivateKey_file(c, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return bad_file("tls-key-file", options.key_file);
  return context;
}

class TlsSocket final : public Socket {
 public:
  TlsSocket(UniqueFd fd, milliseconds write_timeout, TlsSession session)
      : fd_(std::move(fd)), write_timeout_(write_timeout), ssl_(std::move(session)) {}

  Status shake_hands(milliseconds limit) {
    auto done = step([this] { return SSL_connect(ssl_.get()); }, limit);
    if (done) return {};
    long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict == X509_V_OK) return fail(done.error().code, "TLS handshake: " + done.error().message);
    return fail(EACCES, std::string("TLS: the server's certificate does not hold: ") +
                            X509_verify_cert_error_string(verdict) +
                            " (tls-ca-cert-file, tls-server-name or insecure-skip-verify may help)");
  }

  Status send(std::string_view bytes) override {
    while (!bytes.empty()) {
      auto write = [&] { return SSL_write(ssl_.get(), bytes.data(), clamp(bytes.size())); };
      bytes.remove_prefix(TRY(step(write, write_timeout_)));
    }
    return {};
  }

  Result<size_t> receive(std::span<char> out, milliseconds limit) override {
    auto read = step([&] { return SSL_read(ssl_.get(), out.data(), clamp(out.size())); }, limit);
    if (!read && read.error().code == ETIMEDOUT) return size_t{0};
    return read;
  }

  void shut_down() override { ::shutdown(fd_.get(), SHUT_RDWR); }

 private:
  static int clamp(size_t size) { return static_cast<int>(std::min<size_t>(size, 1 << 30)); }

  // Repeats one call of the library until it has made progress. The lock is free while it waits for the
  // network, so that a sender and a receiver don't hold each other up.
  template <class Call>
  Result<size_t> step(Call call, milliseconds limit) {
    while (true) {
      int n, state, code;
      {
        std::lock_guard lock(mutex_);
        ERR_clear_error();
        errno = 0;
        n = call();
        code = errno;
        state = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), n);
      }
      switch (state) {
        case SSL_ERROR_NONE:
          return static_cast<size_t>(n);
        case SSL_ERROR_WANT_READ:
          TRY(wait_ready(fd_.get(), POLLIN, limit));
          break;
        case SSL_ERROR_WANT_WRITE:
          TRY(wait_ready(fd_.get(), POLLOUT, limit));
          break;
        case SSL_ERROR_ZERO_RETURN:
          return fail(ECONNRESET, "Redis closed the connection");
        case SSL_ERROR_SYSCALL:
          return fail(code != 0 ? code : ECONNRESET, "the connection to Redis broke");
        default:
          return fail(ECONNRESET, tls_reason());
      }
    }
  }

  const UniqueFd fd_;
  const milliseconds write_timeout_;
  std::mutex mutex_;  // guards ssl_
  const TlsSession ssl_;
};

}  // namespace

Result<std::unique_ptr<Socket>> tls_socket(UniqueFd fd, milliseconds write_timeout, const TlsOptions& options,
                                           const std::string& host, milliseconds limit) {
  const TlsContext context = TRY(make_context(options));
  const std::string& name = options.server_name.empty() ? host : options.server_name;
  TlsSession session = TRY(new_tls_session(context.get(), fd.get(), name));
  auto socket = std::make_unique<TlsSocket>(std::move(fd), write_timeout, std::move(session));
  TRY(socket->shake_hands(limit));
  return socket;
}

}  // namespace cider::meta::redis
