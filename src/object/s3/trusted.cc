#include "object/s3/trusted.h"

#include <openssl/x509_vfy.h>

#include "base/tls.h"

namespace cider::object::s3 {
namespace {

constexpr std::chrono::hours kValid{1};

}  // namespace

Result<Trusted::Store> Trusted::get() {
  std::lock_guard lock(mutex_);
  const auto now = Monotonic::now();
  if (store_ && now - read_at_ < kValid) return store_;
  auto fresh = read();
  if (!fresh && !store_) return fresh;
  if (fresh) store_ = *std::move(fresh);
  read_at_ = now;
  return store_;
}

Result<Trusted::Store> Trusted::read() const {
  Store store(X509_STORE_new(), X509_STORE_free);
  if (!store) return fail(ENOMEM, "TLS: " + tls_reason());
  if (!file_.empty() && X509_STORE_load_file(store.get(), file_.c_str()) != 1) {
    return fail(EINVAL, "the certificates in " + file_ + " can't be read: " + tls_reason());
  }
  if (!folder_.empty() && X509_STORE_load_path(store.get(), folder_.c_str()) != 1) {
    return fail(EINVAL, "the certificates in " + folder_ + " can't be read: " + tls_reason());
  }
  // As libcurl has it: one in the middle of a chain may be trusted, too.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

}  // namespace cider::object::s3
