// Operations against a Redis server: questions in one flight, the commit in one call of the script.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "meta/store/redis/client.h"
#include "meta/store/redis/hints.h"
#include "meta/store/redis/steps.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

// Thread-safe.
class Transactions {
 public:
  explicit Transactions(Client& client);

  Status run(Operation operation, std::stop_token stop);
  Status read(Operation operation);
  // Calls the script; loads it where the server does not know it (again).
  Result<Reply> call(const Steps& steps, bool ask, std::string_view slot, uint64_t seq, std::stop_token stop);
  uint64_t conflicts() const { return conflicts_; }

 private:
  class Slot;
  class Hinted;
  class Asking;

  // Checks what `tx` read, and writes if `writes`: the script's reply.
  Result<Reply> commit(const Transaction& tx, const Hinted& fetcher, bool writes, const Slot& slot,
                       std::stop_token stop);
  // After a commit: the answers that flow back, and what is known now.
  void finish(const Transaction& tx, const Reply& reply);
  Status ask(const std::vector<ReadItem*>& items, std::vector<std::vector<Answer>>* answers);

  Client& client_;
  Hints hints_;
  const std::string slots_key_;  // by a random number of this client
  std::mutex slots_mutex_;
  std::vector<uint32_t> free_slots_;
  uint32_t slots_ = 0;
  std::atomic<uint64_t> seq_{0};
  std::atomic<uint64_t> conflicts_{0};
};

}  // namespace cider::meta::redis
