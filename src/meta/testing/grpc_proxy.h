// Stands between clients and a server that speak gRPC, on the loopback interface, and breaks connections at
// chosen commits. For tests only.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "meta/testing/tcp_proxy.h"

namespace cider::meta::testing {

// Thread-safe.
class GrpcProxy final : public TcpProxy {
 public:
  using Test = std::function<bool(std::string_view message)>;
  // `is_commit` tells it of a request's message.
  GrpcProxy(std::string server_port, Test is_commit);
  ~GrpcProxy() override;

  enum class Fault {
    none,
    lose_reply,   // the server answers, and the connection ends before its reply
    hold_request  // the connection ends, and the request is on its way until deliver_held()
  };
  // Happens to a commit that comes, the one after `skip` others. `then` runs when it has happened, before the
  // client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {}, int skip = 0);
  bool has_struck() const { return struck_; }
  void deliver_held();  // and waits until the server has answered

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
  struct Held {
    UniqueFd server;
    std::string bytes;
    uint32_t stream = 0;
  };

  void serve(const std::stop_token& stop, UniqueFd client) override;
  // False: the connection has ended.
  bool pass_frame(UniqueFd& server, Frame frame, std::map<uint32_t, Request>* requests);
  Fault next_fault(std::string_view message);
  static void await_end(int server, uint32_t stream);

  const Test is_commit_;
  std::atomic<bool> struck_{false};
  std::mutex mutex_;
  Fault fault_ = Fault::none;
  int skip_ = 0;
  std::function<void()> then_;
  std::vector<Held> held_;
};

// What changes something in etcd, and in TiKV.
bool is_etcd_commit(std::string_view message);
bool is_tikv_prewrite(std::string_view message);

}  // namespace cider::meta::testing
