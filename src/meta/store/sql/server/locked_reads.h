// The answers of a transaction: each row that is asked for stays locked until its end, so that what was read
// holds for as long as the transaction does.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "meta/store/pending_usage.h"
#include "meta/store/sql/server/hints.h"
#include "meta/store/sql/server/parts.h"
#include "meta/store/sql/server/pool.h"
#include "meta/store/sql/server/prediction.h"
#include "meta/store/sql/server/shared_question.h"
#include "meta/store/transaction.h"

namespace cider::meta::sql::server {

// One thread; begins a transaction with the first flight, which leaves its mark in cider_op, and does not end
// it.
class LockedReads final : public Fetcher {
 public:
  // `client`: of cider_op; `seq`: of this transaction, more than all before it on this connection.
  LockedReads(Pool::Lease& lease, const Prediction& prediction, Hints& hints, const PendingUsage& usage,
              const std::string& client, int64_t seq, std::stop_token stop);

  Status fetch(const std::vector<ReadItem*>& items) override;
  // Why a flight failed, if one did: there is no transaction any more, and the operation has not run to its
  // end.
  const Status& failure() const { return failure_; }

  // Begins the transaction where no question has, and locks what the writes need and is not locked yet.
  // kRunAgain where a row is locked for reading that is to be written: run again without a prediction. EIO
  // where a write contradicts what was read.
  Status prepare_writes(const std::vector<WriteItem>& writes);
  bool begun() const { return begun_; }
  // The statements that begin a transaction.
  static void add_beginning(const std::string& client, uint64_t slot, int64_t seq,
                            std::vector<Statement>* out);

 private:
  Status ask(Parts parts);
  Status begin_and_ask(Parts parts);
  std::vector<SharedQuestion> questions_for(Parts& parts) const;

  Pool::Lease& lease_;
  const Prediction& prediction_;
  Hints& hints_;
  const PendingUsage& usage_;
  const std::string& client_;
  const int64_t seq_;
  const std::stop_token stop_;
  Parts known_;
  std::map<std::string, Lock> locks_;
  bool begun_ = false;
  bool asked_ = false;
  Status failure_;
};

}  // namespace cider::meta::sql::server
