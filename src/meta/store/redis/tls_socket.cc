#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <mutex>

#include "meta/store/redis/socket.h"

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

template <auto Function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    Function(pointer);
  }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Free<SSL_free>>;

// The library's reason for the last error, and forgets it.
std::string reason() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "unknown reason" : text;
}

std::unexpected<Error> bad_file(const std::string& option, const std::string& path) {
  return fail(EINVAL, "META URL: " + option + " " + path + " cannot be used: " + reason());
}

Result<Context> make_context(const TlsOptions& options) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(ENOMEM, "TLS: " + reason());
  SSL_CTX* c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
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

bool is_ip(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// What the certificate must name, and what a server with several certificates is told.
bool expect_name(SSL* ssl, const std::string& name) {
  if (is_ip(name)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 && SSL_set1_host(ssl, name.c_str()) == 1;
}

class TlsSocket final : public Socket {
 public:
  TlsSocket(UniqueFd fd, milliseconds write_timeout, Session session)
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
          return fail(ECONNRESET, reason());
      }
    }
  }

  const UniqueFd fd_;
  const milliseconds write_timeout_;
  std::mutex mutex_;  // guards ssl_
  const Session ssl_;
};

}  // namespace

Result<std::unique_ptr<Socket>> tls_socket(UniqueFd fd, milliseconds write_timeout, const TlsOptions& options,
                                           const std::string& host, milliseconds limit) {
  Context context = TRY(make_context(options));
  Session session(SSL_new(context.get()));
  const std::string& name = options.server_name.empty() ? host : options.server_name;
  if (!session || SSL_set_fd(session.get(), fd.get()) != 1 || !expect_name(session.get(), name))
    return fail(EINVAL, "TLS: " + reason());
  auto socket = std::make_unique<TlsSocket>(std::move(fd), write_timeout, std::move(session));
  TRY(socket->shake_hands(limit));
  return socket;
}

}  // namespace cider::meta::redis
