// What clients that speak TLS by OpenSSL begin with. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace cider {

struct FreeTls {
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_st* session) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, FreeTls>;
using TlsSession = std::unique_ptr<ssl_st, FreeTls>;

// The library's reason for this thread's last error, and forgets it.
std::string tls_reason();

// Of clients: TLS 1.2 or later; what is sent in part may lie elsewhere the next time. ENOMEM.
Result<TlsContext> new_tls_context();

// Over a connected socket, with a server whose certificate must name `host`, a name or an address. EINVAL.
Result<TlsSession> new_tls_session(ssl_ctx_st* context, int socket, const std::string& host);

}  // namespace cider
