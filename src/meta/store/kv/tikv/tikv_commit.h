// One commit, by Percolator: every key that is changed or relied on is locked at the view's timestamp, which
// fails where it has changed since; then the primary's commit decides. Where all keys lie in one region that
// is one request (1PC); where they are few, the locks themselves decide (asynchronous commit) and the rest is
// done afterwards.
#pragma once

#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/kv.h"
#include "meta/store/kv/tikv/lock_resolver.h"
#include "meta/store/kv/tikv/tikv_client.h"

namespace cider::meta::kv {

// What is to be locked; those to be changed come first: the primary is one of them.
struct TikvMutations {
  std::vector<std::string> keys;
  std::vector<std::optional<Value>> values;  // nullopt: only relied on
  std::set<size_t> inserts;                  // places of values whose keys must not be there yet
};

// Keys that may still be locked, by a transaction that is committed at `commit_ts` (0: rolled back) or, where
// there is none, not decided.
struct LeftLocks {
  std::vector<std::string> keys;
  uint64_t start_ts = 0;
  std::optional<uint64_t> commit_ts;
};

class TikvCommit {
 public:
  // `later_than`: a timestamp given after the transaction began.
  TikvCommit(TikvClient& client, const TikvMutations& mutations, uint64_t start_ts, uint64_t later_than,
             const Interrupt& stop)
      : client_(client),
        resolver_(client),
        mutations_(mutations),
        start_ts_(start_ts),
        later_than_(later_than),
        stop_(stop) {}

  // After an error it was not committed, and will not be. `unknown` where `stop.late`, or the end of the
  // patience, came before it was known.
  Result<Committed> run();
  // After `conflict`: because a key that was to be inserted is there.
  bool found_present() const { return found_present_; }
  // After `done`: when, if it was by 1PC; else 0.
  uint64_t committed_at() const { return committed_at_; }
  // Without keys: nothing.
  const LeftLocks& left() const { return left_; }

 private:
  enum class Locked { yes, unknown, conflict };
  Result<Committed> commit();
  Result<Locked> lock_all();
  void fill(const TikvClient::Part& part, tikvpb::PrewriteRequest* request) const;
  Result<Locked> look_at(const tikvpb::PrewriteResponse& response, bool* locked_by_others);
  Result<Committed> commit_primary();
  Result<Committed> settle();
  void leave(std::optional<uint64_t> commit_ts);

  TikvClient& client_;
  LockResolver resolver_;
  const TikvMutations& mutations_;
  const uint64_t start_ts_;
  const uint64_t later_than_;
  const Interrupt& stop_;
  bool asynchronous_ = false;
  bool maybe_committed_ = false;
  bool locked_any_ = false;  // or may have
  bool found_present_ = false;
  int waits_ = 0;
  uint64_t committed_at_ = 0;  // by 1PC
  uint64_t least_commit_ = 0;  // of the locks, if the commit is asynchronous
  LeftLocks left_;
};

}  // namespace cider::meta::kv
