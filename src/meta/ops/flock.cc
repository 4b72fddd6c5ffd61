// flock: BSD locks, one per open file description, held in the engine.
//
// Reads:  the inode's whole table of flocks, and that our session lives (predicates of the commit). Writes:
// the holder's record. One commit.
#include "meta/ops/env.h"
#include "meta/ops/late_releases.h"
#include "meta/ops/lock_waiters.h"

namespace cider::meta {
namespace {

// EAGAIN while another holder is in the way.
Status flock_op(Transaction& tx, const OpEnv& env, Ino ino, uint64_t owner, LockKind kind) {
  LockHolder me{env.sid, owner};
  if (kind == LockKind::unlock) {
    tx.write(DeleteFlock{ino, me});
    return {};
  }
  auto& locks = tx.ask(FlocksRead{ino, {}});
  SessionRead* session = ask_own_session(tx, env);
  TRY(tx.fetch());
  TRY(check_own_session(session));
  LockHolder other;
  if (find_conflict(locks.table, me, kind, &other)) return fail(EAGAIN);
  tx.write(PutFlock{ino, Flock{me, kind}});
  return {};
}

}  // namespace

void Meta::flock(const Caller& caller, Ino ino, uint64_t owner, LockKind kind, bool wait, Done done) {
  auto attempt = [this, ino, owner](LockKind wanted) -> Status {
    uint64_t sid = 0;
    TRY(run(Caller{}, [&](Transaction& tx, OpEnv& env) {
      sid = env.sid;
      return flock_op(tx, env, ino, owner, wanted);
    }));
    if (wanted == LockKind::unlock)
      open_files_.forget_lock(ino, {true, owner}, sid);
    else
      open_files_.note_lock(ino, {true, owner}, sid);
    return {};
  };
  if (options_.read_only) return done(fail(EROFS));
  const auto release = [this, ino, owner, attempt] {
    return release_lock(ino, {true, owner}, [attempt] { return attempt(LockKind::unlock); });
  };
  if (kind == LockKind::unlock) return done(release());
  if (Status settled = late_releases_->settle(ino, {true, owner}, caller.interrupt); !settled)
    return done(std::move(settled));
  // Converting a lock gives the old one up first, as Linux does; only then may it wait.
  bool queue_first = wait && lock_waiters_->has_waiters(ino);
  Status got = queue_first ? Status(fail(EAGAIN)) : attempt(kind);
  if (got) lock_waiters_->wake(ino);  // an exclusive lock that became a shared one lets others in
  if (got || got.error().code != EAGAIN || !wait) return done(std::move(got));
  if (Status given_up = release(); !given_up) return done(std::move(given_up));
  auto order =
      kind == LockKind::write ? LockWaiters::Order::exclusive_flock : LockWaiters::Order::shared_flock;
  lock_waiters_->wait(
      ino, order, caller.interrupt, [attempt, kind] { return attempt(kind); }, [] {}, std::move(done));
}

}  // namespace cider::meta
