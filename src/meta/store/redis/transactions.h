// Operations against a Redis server: questions in one flight, the commit in one call of the script.
//
// Every attempt to commit has a place in a hash on the server and a number there, greater than all before it.
// Client::call may send it several times, and copies may arrive in any order, on several connections, at any
// time: the first to run records its verdict, and the others get that; one that comes after the place's next
// attempt is refused by its smaller number. So resending needs no question.
//
// An operation gives up with ETIMEDOUT or EINTR, while it is not known whether its last attempt was or will
// be committed. Before this client's next commit such attempts are refused for good, and those turn out that
// were committed. That is asked once, before the commit is first sent: an attempt that is given up later,
// while the commit is being resent, was under way at the same time, and may come before or after it. Of those
// that were committed the new slices are remembered: when the data path tries a write-commit of the same
// slices again, run() answers kCommittedBefore (given_up_slices.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "meta/store/given_up_slices.h"
#include "meta/store/redis/client.h"
#include "meta/store/redis/client_cache.h"
#include "meta/store/redis/fairness.h"
#include "meta/store/redis/hints.h"
#include "meta/store/redis/steps.h"
#include "meta/store/redis/usual_misses.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

// Thread-safe.
class Transactions {
 public:
  explicit Transactions(Client& client, ClientCache* cache = nullptr);

  Status run(Operation operation, std::stop_token stop);
  Status read(Operation operation, std::stop_token stop);
  // The same, answered from the cache where it can be.
  Status read_recent(Operation operation, std::stop_token stop);
  uint64_t conflicts() const { return conflicts_; }
  // After the server may have lost what was seen on it.
  void forget_hints() { hints_.clear(); }
  // With each heartbeat: who else is on the volume.
  Status look_around(std::stop_token stop) { return fairness_.look_around(std::move(stop)); }

 private:
  // An attempt to commit: a place in the hash of decided attempts, and this attempt's number there.
  struct Attempt {
    uint32_t slot = 0;
    uint64_t seq = 0;
    std::vector<uint64_t> slices;  // that it makes part of a file
    bool operator==(const Attempt& other) const { return slot == other.slot && seq == other.seq; }
  };
  class Slot;
  class Hinted;
  class Asking;
  class Recalling;

  // Calls the script; loads it where the server does not know it (again). `*maybe_ran` as Client::call.
  Result<Reply> call(const Steps& steps, bool ask, const Attempt* attempt, std::stop_token stop,
                     bool* maybe_ran = nullptr);
  // Checks what `tx` read, and writes if `writes`: the script's reply.
  Result<Reply> commit(const Transaction& tx, const Hinted& fetcher, bool writes, Slot& slot,
                       std::stop_token stop);
  // Refuses the attempts for good whose outcome nobody waited for, so that none of them is applied from now
  // on; remembers those that were committed before.
  Status refuse_abandoned(std::stop_token stop);
  bool was_committed(const std::vector<uint64_t>& slices);
  bool time_to_prolong();
  // After a commit: the answers that flow back, and what is known now.
  void finish(const Transaction& tx, const Reply& reply);
  // What the server answered to a question that it was asked after `asked`.
  void learn(const ReadItem& item, const Answer& answer, ClientCache::Moment asked);
  ClientCache::Moment now() const { return cache_ ? cache_->now() : 0; }
  Status ask(const std::vector<ReadItem*>& items, std::vector<std::vector<Answer>>* answers,
             std::stop_token stop = {});

  Client& client_;
  ClientCache* const cache_;
  Fairness fairness_;
  Hints hints_;
  UsualMisses misses_;
  const std::string slots_name_;  // of their key: a random number of this client
  std::mutex slots_mutex_;
  std::vector<uint32_t> free_slots_;
  std::vector<Attempt> abandoned_;  // their slots are not free
  std::atomic<bool> any_abandoned_{false};
  GivenUpSlices given_up_;
  uint32_t slots_ = 0;
  std::atomic<uint64_t> seq_{0};
  std::atomic<int64_t> prolong_at_{0};  // steady seconds
  std::atomic<uint64_t> conflicts_{0};
};

}  // namespace cider::meta::redis
