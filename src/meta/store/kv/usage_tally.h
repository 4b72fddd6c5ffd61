// What this client has added to the volume's usage, told in the database, so that none of it is lost with the
// client: its total since it began, which each commit that changes it rewrites, and how much of that is in
// the counters already. What is between the two is counted each second by the client itself, and by others
// when it is gone. Both are sums from the beginning on: so nobody needs to know who counted before, and the
// client need not read what it rewrites.
//
// Records of ours: the total, 16 bytes (space, inodes); and Counted, 32 bytes (the session or 0, space,
// inodes, when somebody found the client gone), all big-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/workspace.h"
#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta::kv {

std::string encode_total(const UsageRead& total);
Result<UsageRead> decode_total(std::string_view record);

struct Counted {
  uint64_t sid = 0;  // 0: a client without a session, or one of which that is not known
  UsageRead usage;   // of the total
  int64_t gone = 0;  // unix seconds; 0: not found so
};
std::string encode_counted(const Counted& counted);
Result<Counted> decode_counted(std::string_view record);

// Used by works of the client's runner and, as it makes its commits one after the other, by one thread at a
// time. What works put counts once made() was told of their commit.
class UsageTally {
 public:
  // `counted` is told what has gone into the counters, by this client or for it.
  explicit UsageTally(std::function<void(const UsageRead&)> counted);

  // Adds the usage that an operation's writes change to the total.
  Status add(const std::vector<WriteItem>& writes, Workspace& work);
  // What the counters lack of what this client has done, in commits and in operations of this one.
  Result<UsageRead> uncounted(const Workspace& work) const;
  // What count() will look at.
  std::vector<std::string> keys() const;
  // Adds what is not counted to the counters.
  Status count(Workspace& work);
  Status join(uint64_t sid, Workspace& work);
  // Counts, and removes the records.
  Status leave(Workspace& work);
  // Nothing is to be counted any more of what was committed: the volume goes.
  Status drop(Workspace& work);

  // After a commit, before any work of the next.
  void made(const Changes& changes);
  const std::string& client() const { return client_; }

 private:
  Result<UsageRead> total(const Workspace& work) const;
  Result<Counted> counted(Workspace& work) const;

  const std::function<void(const UsageRead&)> tell_;
  const std::string client_;  // 16 random bytes
  bool is_used_ = false;      // there are records
  UsageRead total_;           // as the last commit left it
  Counted counted_;           // as this client knows it
};

// A client that is gone, or may be.
struct LeftTally {
  std::string client;
  uint64_t sid = 0;
};
// Those other than `own` whose session is none any more, or who never had one, and for whom there is
// something to do; `now`: unix seconds.
Result<std::vector<LeftTally>> left_tallies(View& view, std::string_view own, int64_t now);
// Counts what such a client has left; removes its records when it has been gone for a day: until then one
// that was only stopped finds what was counted for it.
Status settle_tally(const LeftTally& left, int64_t now, Workspace& work);

}  // namespace cider::meta::kv
