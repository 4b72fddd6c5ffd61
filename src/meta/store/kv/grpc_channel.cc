#include "meta/store/kv/grpc_channel.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "base/file_io.h"

namespace cider::meta::kv {
namespace {

constexpr int kLargestMessage = 64 << 20;
constexpr int kDroppedInARow = 5;

Result<std::string> contents(const std::string& path) {
  if (path.empty()) return std::string{};
  return read_file(path);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials_of(const TlsFiles& tls) {
  const std::string ca = TRY(contents(tls.ca));
  const std::string cert = TRY(contents(tls.cert));
  const std::string key = TRY(contents(tls.key));
  if (!tls.skip_verify) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca;
    options.pem_cert_chain = cert;
    options.pem_private_key = key;
    return grpc::SslCredentials(options);
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  if (!cert.empty()) {
    options.set_certificate_provider(std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
        ca, std::vector{grpc::experimental::IdentityKeyCertPair{key, cert}}));
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& host_and_port,
                                                    const std::optional<TlsFiles>& tls) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // a commit is repeated by us alone
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (tls) {
    credentials = TRY(credentials_of(*tls));
    if (!tls->server_name.empty()) arguments.SetSslTargetNameOverride(tls->server_name);
  }
  return grpc::CreateCustomChannel("dns:///" + host_and_port, credentials, arguments);
}

// gRPC has one code for all of this, so that the words must tell. With TLS 1.3 a client hears that its
// certificate is not accepted only as an end of the connection. Once a server has answered, a refusal is an
// outage like others: a commit that was sent before may have been made, and must not be told as refused.
Status TlsJudge::judge(const grpc::Status& status, const std::string& server) {
  if (!tls_ || answered_) return {};
  const auto says = [&](const char* words) {
    return status.error_message().find(words) != std::string::npos;
  };
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
    if (status.ok()) answered_ = true;
    return {};
  }
  if (says("certificate verify failed")) {
    return fail(EACCES, server + ": the server's certificate is not one of the authority's" +
                            (tls_->ca.empty() ? "" : " in " + tls_->ca));
  }
  if (says("is not in peer certificate")) {
    return fail(EACCES, server + ": the server's certificate is not for the name " +
                            (tls_->server_name.empty() ? "of the host" : tls_->server_name));
  }
  const bool dropped = says("Endpoint read failed") || says("Socket closed") || says("reset by peer");
  if (!dropped || ++dropped_ < kDroppedInARow) return {};
  return fail(EACCES, server + " ends connections at once: " +
                          (tls_->cert.empty() ? "it may want a client's certificate (cert, key)"
                                              : "it may not accept the client's certificate " + tls_->cert));
}

}  // namespace cider::meta::kv
