// Clean-up of dead clients: their unlinked open files, locks and session record, each step only while the
// session is expired; then the usage that they had not counted yet.
#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

// Whether the session is there and expired.
Result<bool> is_expired(Transaction& tx, uint64_t sid, int64_t now) {
  auto& session = tx.ask(SessionRead{sid, true, {}});
  TRY(tx.fetch());
  return session.expire && *session.expire < now;
}

}  // namespace

Status Meta::clean_stale_sessions() {
  int64_t now = clock_.now().sec;
  const std::vector<SessionRecord> sessions = TRY(store_->list_sessions());
  const bool alone = store_->is_alone();  // whoever else had a session then was killed
  for (const SessionRecord& session : sessions) {
    const bool expired = session.expire < now;
    if ((!expired && !alone) || session.sid == session_id()) continue;
    if (!expired) TRY(store_->refresh_session(session.sid, 0));  // whatever the clock does meanwhile
    log::info("cleaning up the dead session " + std::to_string(session.sid));
    for (Ino ino : TRY(store_->sustained_inodes(session.sid))) {
      TRY(delete_sustained(session.sid, ino, Keeper::dead));
    }
    TRY(store_->run(
        [&](Transaction& tx) -> Status {
          if (TRY(is_expired(tx, session.sid, now))) tx.write(DeleteSession{session.sid});
          return {};
        },
        {}));
  }
  // Also of those whose session JuiceFS has cleaned up.
  return store_->count_left_usage(now);
}

}  // namespace cider::meta
