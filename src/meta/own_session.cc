#include "meta/own_session.h"

#include <algorithm>

#include "base/log.h"
#include "meta/meta.h"

namespace cider::meta {

// Others may take a client for dead after five missed heartbeats, as JuiceFS does.
int64_t OwnSession::lease() const {
  return options_.heartbeat.count() * 5;
}

Status OwnSession::put(uint64_t id, const std::stop_token& stop) {
  auto sent = clock_.monotonic();
  int64_t expire = clock_.now().sec + lease();
  TRY(store_.put_session({id, expire, encode_session_info(options_.session)}, stop));
  acknowledge(sent, expire);
  return {};
}

void OwnSession::acknowledge(Monotonic::time_point sent, int64_t expire) {
  expire_.store(expire, std::memory_order_relaxed);
  expire_monotonic_.store(sent + Seconds(lease()), std::memory_order_relaxed);
}

Status OwnSession::begin() {
  const auto lock = TRY(renewing_.lock({}));
  incarnation_ = store_.incarnation();
  auto id = static_cast<uint64_t>(TRY(store_.add_counter(Counter::next_session, 1)));
  TRY(put(id, {}));
  id_.store(id, std::memory_order_release);
  return {};
}

bool OwnSession::is_overdue() const {
  if (id() == 0) return false;
  auto margin = options_.heartbeat;
  return clock_.monotonic() >= expire_monotonic_.load(std::memory_order_relaxed) - margin ||
         clock_.now().sec >= expire_.load(std::memory_order_relaxed) - margin.count();
}

Status OwnSession::renew() {
  const auto lock = TRY(renewing_.lock({}));
  return renew_locked({});
}

Status OwnSession::recover(uint64_t seen, std::stop_token stop) {
  const auto lock = TRY(renewing_.lock(stop));
  if (id() != seen) return {};
  return renew_locked(stop);
}

Status OwnSession::renew_locked(const std::stop_token& stop) {
  const uint64_t old = id();
  auto sent = clock_.monotonic();
  int64_t now = clock_.now().sec;
  Status alive = store_.refresh_session(old, now + lease(), stop);
  if (!alive && alive.error().code != ENOENT) return alive;
  // JuiceFS cleans a session up in steps, the record last: one that is still there may have lost its locks.
  // So may one whose engine lost writes.
  const uint64_t incarnation = store_.incarnation();
  const bool late = now > expire_.load() || sent > expire_monotonic_.load();
  const bool doubtful = late || incarnation != incarnation_;
  const bool lost = !alive || (doubtful && !TRY(has_its_locks(old)));
  if (!lost) {
    incarnation_ = incarnation;
    acknowledge(sent, now + lease());
    return {};
  }
  auto id = static_cast<uint64_t>(TRY(store_.add_counter(Counter::next_session, 1, stop)));
  TRY(put(id, stop));
  incarnation_ = incarnation;
  size_t locked = open_files_.locked_under(old).size();
  id_.store(id, std::memory_order_release);
  log::error("this client was taken for dead: session " + std::to_string(old) + " was cleaned up, " +
             std::to_string(id) + " takes its place. " + std::to_string(locked) +
             " open files lost their locks (they answer EIO until they are closed); unlinked open files may "
             "be gone");
  return {};
}

Result<bool> OwnSession::has_its_locks(uint64_t id) {
  std::vector<Ino> locked = open_files_.locked_under(id);
  if (locked.empty()) return true;
  std::vector<RecordLockOwner> held = TRY(store_.session_locks(id));
  return std::ranges::all_of(locked, [&](Ino ino) {
    return std::ranges::any_of(held, [&](const RecordLockOwner& lock) { return lock.ino == ino; });
  });
}

}  // namespace cider::meta
