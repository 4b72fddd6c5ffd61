// Stands between clients and a Redis server, counts their commands and breaks connections at chosen moments.
// For tests only.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "meta/store/redis/resp.h"
#include "meta/testing/unix_proxy.h"

namespace cider::meta::testing {

// Thread-safe.
class FaultProxy final : public UnixProxy {
 public:
  // A commit is a call of the script with a slot.
  explicit FaultProxy(std::string server_socket);
  ~FaultProxy() override;

  std::string url(int db) const { return "unix://" + socket() + "?db=" + std::to_string(db); }
  // Commands that clients have sent, but for the PINGs by which they see whether the server is there.
  uint64_t commands() const { return commands_; }
  // The largest number of arguments that a command had.
  uint64_t most_arguments() const { return most_arguments_; }
  // The reply to the next command that has `argument` stays with the proxy, and with it the replies that come
  // after it on its connection, until release_reply().
  void hold_reply(std::string argument);
  void await_held_reply();
  void release_reply();
  void delay_replies(std::chrono::milliseconds delay) { delay_ = delay.count(); }

 private:
  std::string socket() const { return folder() + "/" + kSocket; }
  void serve(UniqueFd client) override;
  bool is_holding();
  bool is_to_be_held(const redis::Reply& command);

  static constexpr const char* kSocket = "proxy.sock";
  std::atomic<int64_t> delay_{0};
  std::atomic<uint64_t> commands_{0};
  std::atomic<uint64_t> most_arguments_{0};
  std::mutex mutex_;
  enum class Holding { nothing, next_reply, reply } holding_ = Holding::nothing;
  std::string held_argument_;
  std::condition_variable holding_changed_;
};

}  // namespace cider::meta::testing
