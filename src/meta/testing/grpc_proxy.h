// Stands between clients and a server that speak gRPC, on the loopback interface, and breaks connections at
// chosen commits. For tests only.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "meta/testing/commit_faults.h"
#include "meta/testing/tcp_proxy.h"

namespace cider::meta::testing {

// Thread-safe.
class GrpcProxy final : public TcpProxy, public CommitFaults {
 public:
  using Test = std::function<bool(std::string_view message)>;
  // `is_commit` tells it of a request's message.
  GrpcProxy(std::string server_port, Test is_commit);
  ~GrpcProxy() override;

 private:
  struct Frame {
    uint8_t type = 0;
    bool ends_stream = false;
    uint32_t stream = 0;
    std::string bytes;  // with its head
  };
  // Of one direction of a connection: what has not come whole.
  class Frames {
   public:
    explicit Frames(size_t preface) : preface_(preface) {}
    // Moves what is whole to `out`; the preface is a frame of no type.
    void feed(std::string_view bytes, std::vector<Frame>* out);

   private:
    size_t preface_;
    std::string rest_;
  };
  struct Request {
    std::string frames;
    std::string message;  // with the head that gRPC gives it
  };

  void serve(const std::stop_token& stop, UniqueFd client) override;
  // False: the connection has ended.
  bool pass_frame(UniqueFd& server, Frame frame, std::map<uint32_t, Request>* requests);
  static void await_end(int server, uint32_t stream);

  const Test is_commit_;
};

// What changes something in etcd, and in TiKV.
bool is_etcd_commit(std::string_view message);
bool is_tikv_prewrite(std::string_view message);

}  // namespace cider::meta::testing
