// fcntl locks: byte ranges, held in the engine, with deadlocks answered.
//
// Reads:  the inode's whole table of record locks (a predicate of the commit). Before a wait also who waits for whom: the waits that
//         clients record, and the tables of the inodes they wait for.
// Writes: the holder's record; while it waits, its wait. One commit.
#include <set>

#include "meta/ops/env.h"
#include "meta/ops/lock_waiters.h"

namespace cider::meta {
namespace {

std::vector<PlockRange> ranges_of(const std::vector<Plock>& table, const LockHolder& holder) {
  for (const Plock& lock : table) {
    if (lock.holder == holder) return lock.ranges;
  }
  return {};
}

// EAGAIN while another holder is in the way.
Status plock_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, const PlockRange& range) {
  auto& locks = tx.ask(PlocksRead{ino, {}});
  TRY(tx.fetch());
  LockHolder me{env.sid, owner};
  LockHolder other;
  if (range.kind != LockKind::unlock && find_conflict(locks.table, me, range, &other)) return fail(EAGAIN);
  std::vector<PlockRange> before = ranges_of(locks.table, me);
  std::vector<PlockRange> after = update_plock_ranges(before, range);
  if (after != before) tx.write(PutPlock{ino, Plock{me, std::move(after)}});
  return {};
}

bool overlaps(const PlockRange& a, const PlockRange& b) { return a.start <= b.end && b.start <= a.end; }

std::set<LockHolder> blockers(const std::vector<Plock>& table, const LockHolder& waiter, const PlockRange& range) {
  std::set<LockHolder> out;
  for (const Plock& lock : table) {
    if (lock.holder == waiter) continue;
    for (const PlockRange& held : lock.ranges) {
      if (overlaps(held, range) && (held.kind == LockKind::write || range.kind == LockKind::write)) out.insert(lock.holder);
    }
  }
  return out;
}

// Records that `me` waits, unless that would close a ring of waiters: EDEADLK.
Status enqueue_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, const PlockRange& range) {
  LockHolder me{env.sid, owner};
  auto& waits = tx.ask(LockWaitsRead{});
  auto& locks = tx.ask(PlocksRead{ino, {}});
  TRY(tx.fetch());
  std::set<LockHolder> seen;
  std::set<LockHolder> next = blockers(locks.table, me, range);
  if (next.empty()) return fail(EAGAIN);   // the lock has gone: try again at once
  while (!next.empty()) {
    LockHolder holder = *next.begin();
    next.erase(next.begin());
    if (holder == me) return fail(EDEADLK);
    if (!seen.insert(holder).second) continue;
    for (const LockWait& wait : waits.waits) {
      if (wait.waiter != holder) continue;
      auto& table = tx.ask(PlocksRead{wait.ino, {}});
      TRY(tx.fetch());
      next.merge(blockers(table.table, holder, wait.range));
    }
  }
  tx.write(PutLockWait{LockWait{me, ino, range}});
  return {};
}

}  // namespace

Result<PlockRange> Meta::getlk(Ino ino, uint64_t owner, const PlockRange& range) {
  PlockRange answer = range;
  answer.kind = LockKind::unlock;
  TRY(store_->read([&](Transaction& tx) -> Status {
    auto& locks = tx.ask(PlocksRead{ino, {}});
    TRY(tx.fetch());
    LockHolder other;
    const PlockRange* conflict = find_conflict(locks.table, LockHolder{sid_, owner}, range, &other);
    if (!conflict) return {};
    answer = *conflict;
    if (other.sid != sid_) answer.pid = 0;   // another machine's process number says nothing here
    return {};
  }));
  return answer;
}

void Meta::setlk(const Caller& caller, Ino ino, uint64_t owner, const PlockRange& range, bool wait, Done done) {
  if (options_.read_only) return done(fail(EROFS));
  auto attempt = [this, ino, owner, range]() -> Status {
    return run(Caller{}, [&](Transaction& tx, OpEnv& env) {
      Status got = plock_op(tx, env, ino, owner, range);
      if (got) tx.write(DeleteLockWait{LockHolder{env.sid, owner}});
      return got;
    });
  };
  if (range.kind == LockKind::unlock) {
    Status released = run(Caller{}, [&](Transaction& tx, OpEnv& env) { return plock_op(tx, env, ino, owner, range); });
    lock_waiters_->wake(ino);
    return done(std::move(released));
  }
  Status got = run(Caller{}, [&](Transaction& tx, OpEnv& env) { return plock_op(tx, env, ino, owner, range); });
  if (got || got.error().code != EAGAIN || !wait) return done(std::move(got));

  Status queued = run(Caller{}, [&](Transaction& tx, OpEnv& env) { return enqueue_op(tx, env, ino, owner, range); });
  if (!queued && queued.error().code != EAGAIN) return done(std::move(queued));
  auto cleanup = [this, owner] {
    (void)run(Caller{}, [&](Transaction& tx, OpEnv& env) -> Status {
      tx.write(DeleteLockWait{LockHolder{env.sid, owner}});
      return {};
    });
  };
  lock_waiters_->wait(ino, caller.interrupt, attempt, cleanup, std::move(done));
}

}  // namespace cider::meta
