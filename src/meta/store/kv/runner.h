// Runs the operations of one client on a database.
//
// In groups: of a remote database because a commit is a round trip, and because a directory's attributes are
// one value that all changes in it rewrite; of an embedded one because threads that hand a lock to each other
// sleep and wake for every change. Callers lead in turn (store/turns.h): the leader takes what is queued and
// runs it as one commit, and asks for what all of it needs together (ask_ahead.h). Work sees the changes of
// those before it, so that all is as if they ran one after the other. Work that answers an error changes
// nothing, but what it saw is checked with the rest. On a conflict the group runs again on a new view; after
// some conflicts its first work alone, with short pauses.
//
// Whose caller is interrupted when the commit has been sent waits a while longer for the answer. If there is
// none, he is told EIO; the others of the group wait on, until the database has settled whether it was made,
// and so does whoever comes next.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/kv/kv.h"
#include "meta/store/kv/workspace.h"
#include "meta/store/turns.h"

namespace cider::meta::kv {

class Runner {
 public:
  // May be called several times, by other threads, too.
  using Work = FunctionRef<Status(Workspace&)>;

  // Hears of each commit that was made, before work of the next runs.
  using Made = std::function<void(const Changes&)>;

  explicit Runner(Database& database, Made made = {});

  // Called once the changes have been committed, before work of the next commit runs; `late`: run() has
  // answered EIO meanwhile.
  using Then = std::function<void(bool late)>;

  // Returns after the commit that holds the work's changes, or bears out its error. EINTR if `stop` is
  // requested before that commit was sent; EIO if it may have been made.
  Status run(Work work, std::stop_token stop = {}, Then then = {});

  uint64_t conflicts() const { return conflicts_; }

 private:
  // Of a commit of which it is not known whether it was made.
  class Fate {
   public:
    void decide(bool made);
    void if_made(Then then);  // now, if it is known

   private:
    std::mutex mutex_;
    std::optional<bool> made_;
    std::vector<Then> then_;
  };
  struct Request : Waiter {
    Request(Work todo, std::stop_token stopping, Then made)
        : Waiter(std::move(stopping)), work(todo), then(std::move(made)) {}
    const Work work;
    const Then then;
    std::shared_ptr<Fate> fate;  // of the commit that it was in
    bool changes = false;        // in that commit: its work had no error
  };
  using Group = std::vector<Request*>;

  void serve_group(const Request& own);
  static void tell(const Group& group);
  Result<std::optional<Committed>> attempt_or_settle(Group* group, const Interrupt& stop);
  Result<std::optional<Committed>> settle(Group* group, const Interrupt& stop);
  void give_back(Group& group, size_t from);
  // Nothing: not all fit into one commit, and those that do have to run again.
  Result<std::optional<Committed>> attempt(Group* group, const Interrupt& stop);
  void drop_stopped(Group* group);
  void back_off(int tries);

  Database& database_;
  const Limits limits_;
  const Made made_;
  TurnQueue<Request> queue_;
  std::minstd_rand random_;          // used by the leader only, as
  std::shared_ptr<Fate> unsettled_;  // of the last commit, and
  Changes unsettled_changes_;
  std::atomic<uint64_t> conflicts_{0};
};

}  // namespace cider::meta::kv
