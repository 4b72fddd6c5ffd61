#include "base/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace cider {
namespace {

bool is_ip(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// What the certificate must name, and what a server with several certificates is told.
bool expect_name(SSL* ssl, const std::string& host) {
  if (is_ip(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

}  // namespace

void FreeTls::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

void FreeTls::operator()(ssl_st* session) const {
  SSL_free(session);
}

std::string tls_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "unknown reason" : text;
}

Result<TlsContext> new_tls_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(ENOMEM, "TLS: " + tls_reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Result<TlsSession> new_tls_session(ssl_ctx_st* context, int socket, const std::string& host) {
  TlsSession session(SSL_new(context));
  if (!session || SSL_set_fd(session.get(), socket) != 1 || !expect_name(session.get(), host))
    return fail(EINVAL, "TLS: " + tls_reason());
  return session;
}

}  // namespace cider
