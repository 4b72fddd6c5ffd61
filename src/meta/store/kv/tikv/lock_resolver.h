// What becomes of a lock that another transaction has left: it is committed or rolled back, as its
// transaction was; if that is not decided and may still be, it is waited for.
//
// Thread-safe.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/tikv/tikv_client.h"

namespace tikvpb {
class LockInfo;
}

namespace cider::meta::kv {

// How a transaction ended.
struct Fate {
  bool decided = false;
  uint64_t commit_ts = 0;  // 0: it was rolled back
};

class LockResolver {
 public:
  explicit LockResolver(TikvClient& client) : client_(client) {}

  // Takes the lock away if its transaction is decided, or has outlived its time: that is decided now. False:
  // it is alive, so try again after a pause.
  Result<bool> resolve(const tikvpb::LockInfo& lock, const std::stop_token& stop);

  // What became of a transaction of ours whose answer was lost. It is decided when this returns: rolled back
  // if it was not committed. `keys` are all of its keys, the primary first.
  Result<Fate> settle(const std::vector<std::string>& keys, uint64_t start_ts, const std::stop_token& stop);

  // Takes away the locks of a transaction whose fate is known.
  Status finish(std::span<const std::string> keys, uint64_t start_ts, uint64_t commit_ts,
                const std::stop_token& stop);

 private:
  Result<Fate> fate_of(const tikvpb::LockInfo& lock, const std::stop_token& stop);
  // False: one of them is committed.
  Result<bool> roll_back(std::span<const std::string> keys, uint64_t start_ts, const std::stop_token& stop);
  // Of one with asynchronous commit: all of its keys are locked, or one tells.
  Result<Fate> fate_by_secondaries(const tikvpb::LockInfo& primary, const std::stop_token& stop);
  Result<Fate> fate_without_secondaries(const tikvpb::LockInfo& primary, const std::stop_token& stop);

  TikvClient& client_;
};

}  // namespace cider::meta::kv
