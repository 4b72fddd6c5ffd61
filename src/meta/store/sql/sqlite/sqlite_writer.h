// The one writer of a process: all changes to the database go through it, in groups with one COMMIT each.
//
// There is no thread for it. Who calls run() puts its work into a queue; the first that finds nobody leading
// begins a transaction, does its own work and all that is queued meanwhile, commits once and wakes the
// others. It leads until its own work is answered, then hands over to the next in the queue. Work reads and
// writes through the group's transaction, so what it reads holds until the commit and nothing needs to be
// checked again.
//
// Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/sql/sqlite/sqlite_db.h"
#include "meta/store/sql/sqlite/sqlite_pace.h"
#include "meta/store/sql/sqlite/sqlite_writes.h"

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
  // A piece of work on the stack of its caller. It has a lock of its own, so that those who are woken do not
  // queue up once more for the writer's.
  struct Request {
    enum class State { waiting, leads, done };
    Work work;
    std::stop_token stop;
    Status answer;

    void set(State next);
    State wait(bool interruptible);  // until it leads or is done, or `stop` is requested
    State present();

    std::mutex mutex;
    std::condition_variable wake;
    State state = State::waiting;
  };

  bool enqueue(Request* request);        // true: the caller leads
  bool wait_for_turn(Request* request);  // likewise; false: it is done
  void lead(const Request& own);
  void serve_group();
  Request* take();
  void commit(std::vector<Request*>& group);
  void undo(std::vector<Request*>& group, Request* failed);
  void fail_all(const Error& error);
  void checkpoint_when_due();
  void let_others_join();
  static void answer(std::vector<Request*>& requests, const Status* status);

  std::mutex mutex_;
  std::deque<Request*> queue_;
  bool led_ = false;

  // Used by the leader only.
  std::unique_ptr<Connection> db_;
  Changes changes_;
  Pace pace_;
  size_t group_limit_;
  double crowd_ = 1;     // how many came together lately
  int next_checkpoint_;  // in pages of the log
};

}  // namespace cider::meta::sqlite
