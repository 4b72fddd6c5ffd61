#include "meta/testing/grpc_proxy.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <etcd.pb.h>
#include <tikv.pb.h>

#include "base/testing/sockets.h"

namespace cider::meta::testing {

using cider::testing::readable;
using cider::testing::receive;
using cider::testing::send_all;
namespace {

// HTTP/2 (RFC 9113): a client begins with 24 bytes; frames have a head of 9.
constexpr size_t kPreface = 24;
constexpr size_t kHead = 9;
constexpr uint8_t kData = 0;
constexpr uint8_t kReset = 3;
constexpr uint8_t kNone = 0xFF;
constexpr uint8_t kEndStream = 1;
constexpr size_t kMessageHead = 5;  // of gRPC: a flag and the length
constexpr std::chrono::seconds kAnswerLimit{10};

uint32_t number(std::string_view bytes) {  // big endian
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

bool is_etcd_commit(std::string_view message) {
  etcdserverpb::TxnRequest request;
  return request.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
         std::ranges::any_of(request.success(), [](const auto& op) { return op.has_request_put(); });
}

bool is_tikv_prewrite(std::string_view message) {
  tikvpb::PrewriteRequest request;
  return request.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
         request.mutations_size() > 0 && !request.primary_lock().empty();
}

void GrpcProxy::Frames::feed(std::string_view bytes, std::vector<Frame>* out) {
  rest_ += bytes;
  if (preface_ > 0) {
    if (rest_.size() < preface_) return;
    out->push_back({kNone, false, 0, rest_.substr(0, preface_)});
    rest_.erase(0, std::exchange(preface_, 0));
  }
  while (rest_.size() >= kHead) {
    const std::string_view head(rest_.data(), kHead);
    const size_t size = kHead + number(head.substr(0, 3));
    if (rest_.size() < size) return;
    const auto type = static_cast<uint8_t>(head[3]);
    const bool ends = (type <= 1 && (head[4] & kEndStream) != 0) || type == kReset;
    out->push_back({type, ends, number(head.substr(5)), rest_.substr(0, size)});
    rest_.erase(0, size);
  }
}

GrpcProxy::GrpcProxy(std::string server_port, Test is_commit)
    : TcpProxy(std::move(server_port)), is_commit_(std::move(is_commit)) {}

GrpcProxy::~GrpcProxy() {
  stop();
}

// Reads what the server says, to the end of a stream.
void GrpcProxy::await_end(int server, uint32_t stream) {
  Frames frames(0);
  std::vector<Frame> whole;
  const auto end = std::chrono::steady_clock::now() + kAnswerLimit;
  while (std::chrono::steady_clock::now() < end) {
    if (!readable(server, 0)) continue;
    const std::string bytes = receive(server);
    if (bytes.empty()) return;
    frames.feed(bytes, &whole);
    for (const Frame& frame : std::exchange(whole, {})) {
      if (frame.stream == stream && frame.ends_stream) return;
    }
  }
}

// The frames of a message go on together, or not at all.
bool GrpcProxy::pass_frame(UniqueFd& server, Frame frame, std::map<uint32_t, Request>* requests) {
  if (frame.type != kData) return send_all(server.get(), frame.bytes);
  Request& request = (*requests)[frame.stream];
  request.frames += frame.bytes;
  request.message += frame.bytes.substr(kHead);
  const std::string_view message = request.message;
  const bool whole =
      message.size() >= kMessageHead && message.size() >= kMessageHead + number(message.substr(1, 4));
  if (!whole && !frame.ends_stream) return true;
  const bool commits = whole && is_commit_(message.substr(kMessageHead));
  std::string bytes = std::move(request.frames);
  requests->erase(frame.stream);
  return pass_request(server, std::move(bytes), commits,
                      [stream = frame.stream](int answering) { await_end(answering, stream); });
}

void GrpcProxy::serve(const std::stop_token& stop, UniqueFd client) {
  const uint64_t cuts = this->cuts();
  UniqueFd server = connect_to_server();
  if (server.get() < 0) return;
  Frames frames(kPreface);
  std::vector<Frame> whole;
  std::map<uint32_t, Request> requests;  // that have not come whole
  while (!stop.stop_requested() && is_open(cuts)) {
    if (!wait_for_either(client.get(), server.get())) continue;
    if (readable(client.get(), 0)) {
      const std::string bytes = receive(client.get());
      if (bytes.empty()) return;
      frames.feed(bytes, &whole);
      for (Frame& frame : std::exchange(whole, {})) {
        if (!pass_frame(server, std::move(frame), &requests)) return;
      }
    }
    if (readable(server.get(), 0)) {
      const std::string bytes = receive(server.get());
      if (bytes.empty() || !send_all(client.get(), bytes)) return;
    }
  }
}

}  // namespace cider::meta::testing
