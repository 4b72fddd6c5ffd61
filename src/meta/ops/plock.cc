// fcntl locks: byte ranges, held in the engine, with deadlocks answered.
//
// Reads:  the inode's whole table of record locks and that our session lives (predicates of the commit). A
// request that waits also
//         reads who waits for whom: the waits that clients record, and the tables of the inodes they wait
//         for.
// Writes: the holder's record; while it waits, its wait. One commit.
#include <algorithm>
#include <map>
#include <set>

#include "meta/ops/env.h"
#include "meta/ops/late_releases.h"
#include "meta/ops/lock_waiters.h"

namespace cider::meta {
namespace {

std::vector<PlockRange> ranges_of(const std::vector<Plock>& table, const LockHolder& holder) {
  for (const Plock& lock : table) {
    if (lock.holder == holder) return lock.ranges;
  }
  return {};
}

// Whether the holder has anything locked then.
bool set_range(Transaction& tx, Ino ino, const std::vector<Plock>& table, const LockHolder& me,
               const PlockRange& range) {
  std::vector<PlockRange> before = ranges_of(table, me);
  std::vector<PlockRange> after = update_plock_ranges(before, range);
  bool locks = !after.empty();
  if (after != before) tx.write(PutPlock{ino, Plock{me, std::move(after)}});
  return locks;
}

Status unlock_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, const PlockRange& range,
                 bool* left) {
  auto& locks = tx.ask(PlocksRead{ino, {}});
  TRY(tx.fetch());
  *left = set_range(tx, ino, locks.table, LockHolder{env.sid, owner}, range);
  return {};
}

// EAGAIN while another holder is in the way.
Status lock_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, const PlockRange& range) {
  auto& locks = tx.ask(PlocksRead{ino, {}});
  SessionRead* session = ask_own_session(tx, env);
  TRY(tx.fetch());
  TRY(check_own_session(session));
  LockHolder me{env.sid, owner};
  if (find_conflict(locks.table, me, range, nullptr)) return fail(EAGAIN);
  set_range(tx, ino, locks.table, me, range);
  return {};
}

bool overlaps(const PlockRange& a, const PlockRange& b) {
  return a.start <= b.end && b.start <= a.end;
}

std::set<LockHolder> blockers(const std::vector<Plock>& table, const LockHolder& waiter,
                              const PlockRange& range) {
  std::set<LockHolder> out;
  for (const Plock& lock : table) {
    if (lock.holder == waiter) continue;
    for (const PlockRange& held : lock.ranges) {
      if (overlaps(held, range) && (held.kind == LockKind::write || range.kind == LockKind::write))
        out.insert(lock.holder);
    }
  }
  return out;
}

// For whom each holder waits, as far as it can be reached from one holder.
using WaitGraph = std::map<LockHolder, std::set<LockHolder>>;

Result<WaitGraph> wait_graph(Transaction& tx, const std::vector<LockWait>& waits, const LockHolder& from,
                             std::set<LockHolder> its_blockers) {
  WaitGraph graph;
  std::set<LockHolder> pending = its_blockers;
  graph[from] = std::move(its_blockers);
  while (!pending.empty()) {
    LockHolder holder = *pending.begin();
    pending.erase(pending.begin());
    if (graph.contains(holder)) continue;
    std::set<LockHolder>& next = graph[holder];
    for (const LockWait& wait : waits) {
      if (wait.waiter != holder) continue;
      auto& table = tx.ask(PlocksRead{wait.ino, {}});
      TRY(tx.fetch());
      next.merge(blockers(table.table, holder, wait.range));
    }
    pending.insert(next.begin(), next.end());
  }
  return graph;
}

// Those that wait for each other in a ring with `me`; empty without one.
std::set<LockHolder> ring_of(const WaitGraph& graph, const LockHolder& me) {
  std::set<LockHolder> ring;  // all that wait for me
  for (size_t before = 1; before != ring.size();) {
    before = ring.size();
    for (const auto& [holder, next] : graph) {
      bool waits = std::any_of(next.begin(), next.end(),
                               [&](const LockHolder& h) { return h == me || ring.contains(h); });
      if (waits) ring.insert(holder);
    }
  }
  return ring.contains(me) ? ring : std::set<LockHolder>{};
}

// One try of a request that may wait: takes the lock, or records the wait (*granted is false then). EDEADLK
// for the one whose wait closes a ring. When two closed it at the same time neither saw the other: then for
// the greatest of the ring, at its next try.
Status wait_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, const PlockRange& range,
               bool* granted) {
  auto& locks = tx.ask(PlocksRead{ino, {}});
  auto& waits = tx.ask(LockWaitsRead{});
  SessionRead* session = ask_own_session(tx, env);
  TRY(tx.fetch());
  TRY(check_own_session(session));
  LockHolder me{env.sid, owner};
  std::set<LockHolder> in_the_way = blockers(locks.table, me, range);
  *granted = in_the_way.empty();
  if (*granted) {
    set_range(tx, ino, locks.table, me, range);
    tx.write(DeleteLockWait{me});
    return {};
  }
  bool recorded =
      std::any_of(waits.waits.begin(), waits.waits.end(), [&](const LockWait& w) { return w.waiter == me; });
  std::set<LockHolder> ring = ring_of(TRY(wait_graph(tx, waits.waits, me, std::move(in_the_way))), me);
  if (!ring.empty() && (!recorded || *ring.rbegin() == me)) return fail(EDEADLK);
  if (!recorded) tx.write(PutLockWait{LockWait{me, ino, range}});
  return {};
}

}  // namespace

Result<PlockRange> Meta::getlk(Ino ino, uint64_t owner, const PlockRange& range) {
  PlockRange answer = range;
  answer.kind = LockKind::unlock;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& locks = tx.ask(PlocksRead{ino, {}});
        TRY(tx.fetch());
        LockHolder other;
        const PlockRange* conflict =
            find_conflict(locks.table, LockHolder{session_id(), owner}, range, &other);
        if (!conflict) return {};
        answer = *conflict;
        if (other.sid != session_id()) answer.pid = 0;  // another machine's process number says nothing here
        return {};
      },
      {}));
  return answer;
}

void Meta::setlk(const Caller& caller, Ino ino, uint64_t owner, const PlockRange& range, bool wait,
                 Done done) {
  if (options_.read_only) return done(fail(EROFS));
  if (range.kind == LockKind::unlock) {
    return done(release_lock(ino, {false, owner}, [this, ino, owner, range]() -> Status {
      bool left = false;
      uint64_t sid = 0;
      TRY(run(Caller{}, [&](Transaction& tx, OpEnv& env) {
        sid = env.sid;
        return unlock_op(tx, env, ino, owner, range, &left);
      }));
      if (!left) open_files_.forget_lock(ino, {false, owner}, sid);
      return {};
    }));
  }
  if (Status settled = late_releases_->settle(ino, {false, owner}, caller.interrupt); !settled)
    return done(std::move(settled));
  uint64_t got_under = 0;
  Status got = run(Caller{}, [&](Transaction& tx, OpEnv& env) {
    got_under = env.sid;
    return lock_op(tx, env, ino, owner, range);
  });
  if (got) open_files_.note_lock(ino, {false, owner}, got_under);
  // A write lock that became a read lock lets others in.
  if (got) lock_waiters_->wake(ino);
  if (got || got.error().code != EAGAIN || !wait) return done(std::move(got));

  auto attempt = [this, ino, owner, range]() -> Status {
    bool granted = false;
    uint64_t sid = 0;
    TRY(run(Caller{}, [&](Transaction& tx, OpEnv& env) {
      sid = env.sid;
      return wait_op(tx, env, ino, owner, range, &granted);
    }));
    if (!granted) return fail(EAGAIN);
    open_files_.note_lock(ino, {false, owner}, sid);
    return {};
  };
  auto cleanup = [this, owner] {
    (void)run(Caller{}, [&](Transaction& tx, OpEnv& env) -> Status {
      tx.write(DeleteLockWait{LockHolder{env.sid, owner}});
      return {};
    });
  };
  lock_waiters_->wait(ino, LockWaiters::Order::any, caller.interrupt, attempt, cleanup, std::move(done));
}

}  // namespace cider::meta
