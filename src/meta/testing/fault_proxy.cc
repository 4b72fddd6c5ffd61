#include "meta/testing/fault_proxy.h"

#include <poll.h>

#include <thread>
#include <utility>

namespace cider::meta::testing {

using cider::testing::receive;
using cider::testing::send_all;
namespace {

// A call of the script with a slot: EVALSHA sha keys opid:...
bool is_commit(const redis::Reply& command) {
  return command.size() > 3 && command[3].text().starts_with("opid:");
}

}  // namespace

FaultProxy::FaultProxy(std::string server_socket) : UnixProxy(std::move(server_socket), kSocket) {
  start();
}

FaultProxy::~FaultProxy() {
  release_reply();
  stop();
}

void FaultProxy::hold_reply(std::string argument) {
  std::lock_guard lock(mutex_);
  holding_ = Holding::next_reply;
  held_argument_ = std::move(argument);
}

void FaultProxy::await_held_reply() {
  std::unique_lock lock(mutex_);
  holding_changed_.wait(lock, [this] { return holding_ != Holding::next_reply; });
}

void FaultProxy::release_reply() {
  std::lock_guard lock(mutex_);
  holding_ = Holding::nothing;
  holding_changed_.notify_all();
}

bool FaultProxy::is_holding() {
  std::lock_guard lock(mutex_);
  return holding_ != Holding::nothing;
}

bool FaultProxy::is_to_be_held(const redis::Reply& command) {
  std::lock_guard lock(mutex_);
  if (holding_ != Holding::next_reply) return false;
  for (size_t i = 0; i < command.size(); ++i) {
    if (command[i].text() == held_argument_) return true;
  }
  return false;
}

void FaultProxy::serve(UniqueFd client) {
  UniqueFd server = connect_to(server_socket());
  redis::ReplyReader requests;
  std::string replies;  // that the client shall have
  bool hold = false;    // the next one
  bool holds = false;
  while (server && is_open()) {
    pollfd both[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (::poll(both, 2, kProxyTick) < 0) continue;
    if (both[0].revents != 0) {
      std::string bytes = receive(client.get());
      if (bytes.empty() || !requests.feed(bytes)) return;
      bool commit = false;
      for (auto next = requests.next(); next && *next; next = requests.next()) {
        if ((*next)->size() != 1 || (**next)[0].text() != "PING") ++commands_;
        hold = hold || is_to_be_held(**next);
        uint64_t most = most_arguments_;
        while (most < (*next)->size() && !most_arguments_.compare_exchange_weak(most, (*next)->size())) {
        }
        commit |= is_commit(**next);
      }
      if (!pass_request(server, std::move(bytes), commit)) return;
    }
    if (both[1].revents != 0) {
      std::string bytes = receive(server.get());
      if (int64_t delay = delay_; delay > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      if (bytes.empty()) return;
      replies += bytes;
      if (std::exchange(hold, false)) {
        std::lock_guard lock(mutex_);
        holding_ = Holding::reply;
        holds = true;
        holding_changed_.notify_all();
      }
    }
    if (holds) holds = is_holding();
    if (!holds && !replies.empty() && !send_all(client.get(), std::exchange(replies, {}))) return;
  }
}

}  // namespace cider::meta::testing
