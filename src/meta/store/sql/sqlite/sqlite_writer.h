// The one writer of a process: all changes to the database go through it, in groups with one COMMIT each.
//
// Callers lead in turn (store/turns.h): the leader begins a transaction, does what is queued, and what comes
// meanwhile, and commits once. Work reads and writes through the group's transaction, so what it reads holds
// until the commit and nothing needs to be checked again.
//
// Thread-safe.
#pragma once

#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/sql/sqlite/sqlite_db.h"
#include "meta/store/sql/sqlite/sqlite_pace.h"
#include "meta/store/sql/sqlite/sqlite_writes.h"
#include "meta/store/turns.h"

namespace cider::meta::sqlite {

// What a piece of work has in hand.
struct Turn {
  Connection& db;
  Changes& changes;
  bool wrote = false;  // to be set before the first change: an error after it undoes the transaction
};

class Writer {
 public:
  // May be called several times: a transaction is undone, and the innocent repeated, when another work in it
  // fails.
  using Work = FunctionRef<Status(Turn&)>;

  explicit Writer(std::unique_ptr<Connection> db);

  // Returns after the commit that holds the work's changes (or bears out its error). EINTR if `stop` is
  // requested while it is still in the queue. The errors of BEGIN and COMMIT are those of Connection.
  Status run(Work work, std::stop_token stop = {});

  Pace& pace() { return pace_; }

 private:
  struct Request : Waiter {
    Request(Work todo, std::stop_token stopping) : Waiter(std::move(stopping)), work(todo) {}
    const Work work;
  };

  void serve_group();
  void commit(std::vector<Request*>& group);
  void undo(std::vector<Request*>& group, Request* failed);
  void fail_all(const Error& error);
  void checkpoint_when_due();
  void let_others_join();

  TurnQueue<Request> queue_;

  // Used by the leader only.
  std::unique_ptr<Connection> db_;
  Changes changes_;
  Pace pace_;
  size_t group_limit_;
  double crowd_ = 1;     // how many came together lately
  int next_checkpoint_;  // in pages of the log
};

}  // namespace cider::meta::sqlite
