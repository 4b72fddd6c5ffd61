// Runs the operations of one client on a database.
//
// In groups: of a remote database because a commit is a round trip, and because a directory's attributes are
// one value that all changes in it rewrite; of an embedded one because threads that hand a lock to each other
// sleep and wake for every change. There is no thread for it: who calls run() puts its work into a queue; the
// first that finds nobody leading takes what is queued, runs it as one commit and wakes the others. Work sees
// the changes of those before it, so that all is as if they ran one after the other. Work that answers an
// error changes nothing, but what it saw is checked with the rest. On a conflict the group runs again on a
// new view; after some conflicts its first work alone, with short pauses.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <stop_token>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/kv/kv.h"
#include "meta/store/kv/workspace.h"

namespace cider::meta::kv {

class Runner {
 public:
  // May be called several times, by other threads, too.
  using Work = FunctionRef<Status(Workspace&)>;

  explicit Runner(Database& database);

  // Returns after the commit that holds the work's changes, or bears out its error. EINTR if `stop` is
  // requested before that commit was sent; EIO if it may have been made.
  Status run(Work work, std::stop_token stop = {});

  uint64_t conflicts() const { return conflicts_; }

 private:
  // A piece of work on the stack of its caller.
  struct Request {
    enum class State { waiting, leads, done };
    Work work;
    std::stop_token stop;
    Status answer;

    void set(State next);
    State wait(bool interruptible);
    State present();

    std::mutex mutex;
    std::condition_variable wake;
    State state = State::waiting;
  };
  using Group = std::vector<Request*>;

  bool enqueue(Request* request);        // true: the caller leads
  bool wait_for_turn(Request* request);  // likewise; false: it is done
  void lead(const Request& own);
  void serve_group();
  Group take(size_t limit);
  void give_back(Group& group, size_t from);
  // Nothing: not all fit into one commit, and those that do have to run again.
  Result<std::optional<Committed>> attempt(Group* group, const std::stop_token& stop);
  void drop_stopped(Group* group);
  void back_off(int tries);
  static void answer_all(Group& group, const Status* status);

  Database& database_;
  const Limits limits_;
  std::mutex mutex_;
  std::deque<Request*> queue_;
  bool led_ = false;
  std::minstd_rand random_;  // used by the leader only
  std::atomic<uint64_t> conflicts_{0};
};

}  // namespace cider::meta::kv
