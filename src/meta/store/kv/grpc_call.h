// One call of gRPC, with a limit of time, that ends early when `stop` is requested.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <stop_token>

namespace cider::meta::kv {

class GrpcCall {
 public:
  explicit GrpcCall(const std::stop_token& stop) : on_stop_(stop, Cancel{&context_}) {}  // without a limit
  GrpcCall(const std::stop_token& stop, std::chrono::seconds limit) : GrpcCall(stop) {
    context_.set_deadline(std::chrono::system_clock::now() + limit);
  }
  GrpcCall(const GrpcCall&) = delete;

  grpc::ClientContext* context() { return &context_; }

 private:
  struct Cancel {
    grpc::ClientContext* context;
    void operator()() const { context->TryCancel(); }
  };
  grpc::ClientContext context_;
  std::stop_callback<Cancel> on_stop_;
};

}  // namespace cider::meta::kv
