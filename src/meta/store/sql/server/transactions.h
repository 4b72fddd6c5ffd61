// Operations against an SQL server: its rows are locked as they are read, so what an operation concludes,
// errors among it, holds until the transaction's end.
//
// With hints of what an operation will ask and write there are two flights: BEGIN and all questions as
// locking reads; then, after the operation has run on what is true, its writes and COMMIT.
//
// Operations that change the same inode wait for each other's commit anyway: those of one client are run one
// after the other in one transaction (groups.h), as far as none changes what another has read.
//
// Whether a commit was made whose answer was lost, cider_op tells: each transaction begins by writing a
// number there, in a row of its connection. Whoever reads that row for writing waits for the transaction's
// end. So after that it was committed, or never will be.
//
// An operation that gives up before that is known (ETIMEDOUT, EINTR) leaves the question to this client's
// next commit, as on Redis (redis/transactions.h): of what was committed the new slices are remembered, and
// run() answers kCommittedBefore when they are to be committed again.
//
// What a commit adds to the volume's usage it also adds to the row of its connection (usage_tally.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "meta/store/given_up_slices.h"
#include "meta/store/pending_usage.h"
#include "meta/store/sql/changes.h"
#include "meta/store/sql/server/groups.h"
#include "meta/store/sql/server/hints.h"
#include "meta/store/sql/server/pool.h"
#include "meta/store/store.h"

namespace cider::meta::sql::server {

// Thread-safe.
class Transactions {
 public:
  // `prepare` makes our own tables (schema.h), before the first commit, and answers the volume's UUID.
  Transactions(Driver& driver, Pool& pool, PendingUsage& usage,
               std::function<Result<std::string>(std::stop_token)> prepare);

  Status run(Operation operation, std::stop_token stop);
  Status read(Operation operation, std::stop_token stop);
  // Counts the volume's usage, and adds sums to directories' statistics.
  Status write_usage(const UsageSums& sums, std::stop_token stop);
  // Calls Status once(attempt) again while it answers that the connection was lost (kLost) or the transaction
  // undone (kRunAgain); up to kPatience.
  Status until_done(const std::stop_token& stop, FunctionRef<Status(int)> once);
  uint64_t conflicts() const { return conflicts_; }
  // After the tables are gone.
  void forget();
  // Counts what is not counted yet, and removes this client's rows from our own tables.
  Status leave(std::stop_token stop);
  // Before this client's rows are used by others than this.
  Status prepare(const std::stop_token& stop);
  // This client's row, to be written in the transaction that makes its session.
  Statement row_of(uint64_t sid);
  void joined(uint64_t sid) { sid_ = static_cast<int64_t>(sid); }
  const std::string& client() const { return client_; }
  std::string volume();

 private:
  // A transaction whose COMMIT was sent.
  struct Attempt {
    uint64_t slot = 0;
    int64_t seq = 0;
    std::vector<uint64_t> slices;  // that it makes part of a file
    std::vector<WriteItem> usage;  // what is to be summed up if it was made
    // What is summed up already, because the caller was told that it was not made, and is to be taken back.
    std::vector<WriteItem> returned;
  };
  class Reading;

  // What a flight asked by add_tally() has found: of the total, and what is counted of it.
  struct Tally {
    UsageRead total;
    UsageRead counted;
  };
  void add_tally(Lock lock, std::vector<Statement>* out);
  static Result<Tally> ask_tally(Pool::Lease& lease, std::span<const Statement> statements,
                                 const std::stop_token& stop);
  void counted(const Tally& tally);
  Status leave_once(const std::stop_token& stop);
  // Runs the operations of a group in one transaction, and answers each.
  void serve(Pool::Lease lease, std::vector<Request*>& group);
  void learn(const Transaction& tx);
  // Sends the writes and COMMIT. EEXIST: a change found its key taken, whose Change::taken `*taken` gets.
  Status commit(Pool::Lease lease, std::vector<Change>& changes, Attempt attempt, const std::stop_token& stop,
                int* taken);
  // The end of an attempt whose answer was lost: success, or kRunAgain.
  Status find_out(Attempt attempt, const std::stop_token& stop);
  Result<bool> was_made(const Attempt& attempt, const std::stop_token& stop);
  void abandon(Attempt attempt);
  Status settle_abandoned(const std::stop_token& stop);
  bool was_committed(const std::vector<uint64_t>& slices);
  void committed(const Attempt& attempt);

  Driver& driver_;
  Pool& pool_;
  PendingUsage& usage_;
  const std::function<Result<std::string>(std::stop_token)> prepare_;
  Hints hints_;
  Groups groups_;
  const std::string client_;  // a random number, in bytes
  std::atomic<int64_t> seq_{0};
  std::atomic<bool> prepared_{false};
  std::mutex preparing_;
  std::atomic<int64_t> sid_{0};
  std::mutex mutex_;
  std::string volume_;
  UsageRead counted_;  // as this client knows it
  std::vector<Attempt> abandoned_;
  std::atomic<bool> any_abandoned_{false};
  GivenUpSlices given_up_;
  std::atomic<uint64_t> conflicts_{0};
};

}  // namespace cider::meta::sql::server
