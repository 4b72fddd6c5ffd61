#include "meta/store/kv/etcd/etcd_client.h"

#include <grpcpp/grpcpp.h>

#include <etcd.grpc.pb.h>
#include "base/interruptible_sleep.h"
#include "meta/store/kv/grpc_call.h"

namespace cider::meta::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kOneCall{10};
constexpr milliseconds kPause{50};
constexpr seconds kConnect{2};

Status error_of(const grpc::Status& status, const std::string& where) {
  int code = EIO;
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) code = ENOSPC;
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) code = EACCES;
  if (status.error_message().find("authentication failed") != std::string::npos) code = EACCES;
  return fail(code, where + ": " + status.error_message());
}

// The server can't answer now, but another, or the same one later, may.
bool is_passing(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    default:
      return false;
  }
}

bool is_lost_login(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
         status.error_message().find("invalid auth token") != std::string::npos ||
         status.error_message().find("revision of auth store is old") != std::string::npos;
}

}  // namespace

struct EtcdClient::Server {
  Server(std::shared_ptr<grpc::Channel> to, std::string name)
      : channel(std::move(to)),
        endpoint(std::move(name)),
        kv(etcdserverpb::KV::NewStub(channel)),
        auth(etcdserverpb::Auth::NewStub(channel)) {}

  grpc::Status call(grpc::ClientContext* context, const etcdserverpb::RangeRequest& request,
                    etcdserverpb::RangeResponse* response) {
    return kv->Range(context, request, response);
  }
  grpc::Status call(grpc::ClientContext* context, const etcdserverpb::TxnRequest& request,
                    etcdserverpb::TxnResponse* response) {
    return kv->Txn(context, request, response);
  }

  const std::shared_ptr<grpc::Channel> channel;
  const std::string endpoint;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Auth::Stub> auth;
};

// A call for a client that has logged in, or needs not.
class EtcdClient::Attempt {
 public:
  Attempt(const std::string& token, const std::stop_token& stop) : call_(stop, kOneCall) {
    if (!token.empty()) call_.context()->AddMetadata("token", token);
  }
  template <class Request, class Response>
  grpc::Status call(Server& server, const Request& request, Response* response) {
    response->Clear();
    return server.call(call_.context(), request, response);
  }

 private:
  GrpcCall call_;
};

EtcdClient::EtcdClient(EtcdUrl url) : url_(std::move(url)), judge_(url_.tls) {}
EtcdClient::~EtcdClient() = default;

Status EtcdClient::open() {
  for (const std::string& endpoint : url_.endpoints)
    servers_.push_back(std::make_shared<Server>(TRY(open_channel(endpoint, url_.tls)), endpoint));
  return {};
}

// The server that is asked at present, connected; another one where it can't be.
Result<std::shared_ptr<EtcdClient::Server>> EtcdClient::reachable(const std::stop_token& stop,
                                                                  steady_clock::time_point end) {
  while (true) {
    if (stop.stop_requested()) return fail(EINTR);
    std::shared_ptr<Server> server = servers_[present_ % servers_.size()];
    if (server->channel->GetState(true) == GRPC_CHANNEL_READY) return server;
    const auto until = std::chrono::system_clock::now() + kConnect;
    while (std::chrono::system_clock::now() < until && !stop.stop_requested()) {
      if (server->channel->WaitForConnected(std::chrono::system_clock::now() + kPause)) return server;
      if (server->channel->GetState(true) == GRPC_CHANNEL_TRANSIENT_FAILURE &&
          (servers_.size() > 1 || url_.tls))
        break;
    }
    TRY(look_at(server));
    try_another(server);
    if (steady_clock::now() > end) return fail(ETIMEDOUT, url_.describe() + " does not answer");
  }
}

// Why it can't be reached, which only a call is told.
Status EtcdClient::look_at(const std::shared_ptr<Server>& server) {
  if (!url_.tls) return {};
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kConnect);
  etcdserverpb::RangeRequest request;
  request.set_key("O");
  etcdserverpb::RangeResponse response;
  return judge_.judge(server->kv->Range(&context, request, &response), server->endpoint);
}

void EtcdClient::try_another(const std::shared_ptr<Server>& failed) {
  size_t present = present_;
  if (servers_[present % servers_.size()] == failed) present_.compare_exchange_strong(present, present + 1);
}

void EtcdClient::forget_token() {
  std::lock_guard lock(mutex_);
  token_.clear();
}

Result<std::string> EtcdClient::token(const std::shared_ptr<Server>& server) {
  if (url_.user.empty()) return std::string{};
  std::lock_guard lock(mutex_);
  if (!token_.empty()) return token_;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kOneCall);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(url_.user);
  request.set_password(url_.password);
  etcdserverpb::AuthenticateResponse response;
  const grpc::Status status = server->auth->Authenticate(&context, request, &response);
  if (!status.ok() && is_passing(status)) return fail(EAGAIN);
  if (!status.ok()) return fail(EACCES, url_.describe() + ": " + status.error_message());
  token_ = response.token();
  return token_;
}

template <class Request, class Response>
Status EtcdClient::ask(const Request& request, Response* response, const std::stop_token& stop) {
  const auto end = steady_clock::now() + kPatience;
  while (true) {
    const std::shared_ptr<Server> server = TRY(reachable(stop, end));
    auto login = token(server);
    if (!login && login.error().code != EAGAIN) return fail(login.error());
    grpc::Status status(grpc::StatusCode::UNAVAILABLE, "");
    if (login) {
      ++requests_;
      status = Attempt(*login, stop).call(*server, request, response);
      TRY(judge_.judge(status, server->endpoint));
    }
    if (status.ok()) return {};
    if (is_lost_login(status)) {
      forget_token();
    } else if (!is_passing(status)) {
      return error_of(status, url_.describe());
    } else {
      try_another(server);
    }
    if (!interruptible_sleep(kPause, stop)) return fail(EINTR);
    if (steady_clock::now() > end) return fail(ETIMEDOUT, url_.describe() + ": " + status.error_message());
  }
}

Status EtcdClient::read(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response,
                        const std::stop_token& stop) {
  return ask(request, response, stop);
}
Status EtcdClient::read(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
                        const std::stop_token& stop) {
  return ask(request, response, stop);
}

bool EtcdClient::answers() {
  etcdserverpb::RangeRequest request;
  request.set_key("O");
  etcdserverpb::RangeResponse response;
  for (const auto& server : servers_) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(1));
    context.set_wait_for_ready(true);
    if (server->kv->Range(&context, request, &response).ok()) return true;
  }
  return false;
}

EtcdClient::Sent EtcdClient::send(const etcdserverpb::TxnRequest& request,
                                  etcdserverpb::TxnResponse* response, Status* error, const Interrupt& stop,
                                  seconds patience) {
  const auto end = steady_clock::now() + patience;
  while (true) {
    auto server = reachable(stop.now, end);
    if (!server) {
      *error = fail(server.error());
      return Sent::not_sent;
    }
    auto login = token(*server);
    if (!login && login.error().code != EAGAIN) {
      *error = fail(login.error());
      return Sent::not_sent;
    }
    if (!login) {
      try_another(*server);
      if (interruptible_sleep(kPause, stop.now)) continue;
      *error = fail(EINTR);
      return Sent::not_sent;
    }
    ++requests_;
    const grpc::Status status = Attempt(*login, stop.late).call(**server, request, response);
    if (status.ok()) return Sent::answered;
    if (is_lost_login(status)) {  // refused before anything was done
      forget_token();
      continue;
    }
    *error = error_of(status, url_.describe());
    if (!is_passing(status)) return Sent::not_sent;
    try_another(*server);
    return Sent::unknown;
  }
}

}  // namespace cider::meta::kv
