// Sees to it that JuiceFS clients on the same volume get on: learns whether there are any, and has commits
// wait for their turn (pace.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "base/slow_lock.h"
#include "meta/store/redis/client.h"
#include "meta/store/redis/pace.h"
#include "meta/store/writes.h"

namespace cider::meta::redis {

// Thread-safe.
class Fairness {
 public:
  explicit Fairness(Client& client) : client_(client) {}

  // Looks who is on the volume, and how far away the server is. With each heartbeat.
  Status look_around(std::stop_token stop);
  // Before a commit: waits while its directories are left to JuiceFS. EINTR when `stop` is requested first.
  Status await_turn(const std::vector<WriteItem>& writes, std::stop_token stop);

 private:
  using Micros = std::chrono::microseconds;

  Result<Micros> measure_clock(const std::stop_token& stop);
  Result<bool> is_juicefs(uint64_t sid, const std::stop_token& stop);
  // Once a second, where one of the directories is busy.
  Status look_for_newcomers(const std::vector<Ino>& dirs, const std::stop_token& stop);
  Micros server_now() const;

  Client& client_;
  Pace pace_;
  SlowLock looking_;                     // one at a time
  std::map<uint64_t, bool> is_juicefs_;  // the live sessions
  std::atomic<uint64_t> sessions_{0};    // that the volume had given out at the last look
  std::atomic<std::chrono::steady_clock::time_point> next_look_{};
  std::atomic<Micros> clock_offset_{};  // of the server's clock to our steady one
};

}  // namespace cider::meta::redis
