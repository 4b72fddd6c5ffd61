#include "meta/store/kv/tikv/lock_resolver.h"

#include <algorithm>

#include <tikv.pb.h>

namespace cider::meta::kv {
namespace {

template <class Message>
std::string text_of(const Message& message) {
  return message.ShortDebugString();
}

// What has become of the transaction?
tikvpb::CheckTxnStatusRequest ask_for(std::string_view primary, uint64_t start_ts, uint64_t now,
                                      bool end_if_missing) {
  tikvpb::CheckTxnStatusRequest request;
  request.set_primary_key(std::string(primary));
  request.set_lock_ts(start_ts);
  request.set_current_ts(now);
  request.set_rollback_if_not_exist(end_if_missing);
  return request;
}

}  // namespace

Result<bool> LockResolver::resolve(const tikvpb::LockInfo& lock, const std::stop_token& stop) {
  const Fate fate = TRY(fate_of(lock, stop));
  if (!fate.decided) return false;
  TRY(finish({&lock.key(), 1}, lock.lock_version(), fate.commit_ts, stop));
  return true;
}

// Its time is told by its start, so that a clock of ours does not matter. A store rolls back what has
// outlived it, but for asynchronous commits.
Result<Fate> LockResolver::fate_of(const tikvpb::LockInfo& lock, const std::stop_token& stop) {
  const uint64_t now = TRY(client_.pd().timestamp(stop));
  const bool expired =
      physical_of(now) >= physical_of(lock.lock_version()) + static_cast<int64_t>(lock.lock_ttl());
  auto request = ask_for(lock.primary_lock(), lock.lock_version(), now, expired);
  tikvpb::CheckTxnStatusResponse response;
  TRY(client_.ask(lock.primary_lock(), request, &response, stop));
  if (response.error().has_txn_not_found()) return Fate{};  // its primary may come yet
  if (response.has_error()) return fail(EIO, "state of a transaction: " + text_of(response.error()));
  if (response.commit_version() > 0) return Fate{true, response.commit_version()};
  if (!response.has_lock_info()) return Fate{response.lock_ttl() == 0, 0};
  if (!response.lock_info().use_async_commit() || !expired) return Fate{};
  return fate_by_secondaries(response.lock_info(), stop);
}

// A key that is neither locked nor committed can't be locked any more once it has been asked for.
Result<Fate> LockResolver::fate_by_secondaries(const tikvpb::LockInfo& primary, const std::stop_token& stop) {
  std::vector<std::string> keys(primary.secondaries().begin(), primary.secondaries().end());
  Fate fate{true, primary.min_commit_ts()};
  bool refused = false;
  TRY(client_.each_part(keys, stop, [&](TikvClient::Part& part) -> Result<TikvClient::Next> {
    tikvpb::CheckSecondaryLocksRequest request;
    for (size_t place : part.keys) request.add_keys(keys[place]);
    request.set_start_version(primary.lock_version());
    tikvpb::CheckSecondaryLocksResponse response;
    if (TRY(client_.send(part.region, request, &response, stop)) != TikvClient::Sent::answered)
      return TikvClient::Next::again;
    if (response.has_error()) return fail(EIO, "locks of a transaction: " + text_of(response.error()));
    if (static_cast<size_t>(response.locks_size()) < part.keys.size()) {
      fate.commit_ts = response.commit_ts();
      return TikvClient::Next::end;
    }
    for (const tikvpb::LockInfo& lock : response.locks()) {
      fate.commit_ts = std::max(fate.commit_ts, lock.min_commit_ts());
      refused |= !lock.use_async_commit();
    }
    return refused ? TikvClient::Next::end : TikvClient::Next::others;
  }));
  if (refused) return fate_without_secondaries(primary, stop);
  keys.push_back(primary.primary_lock());
  TRY(finish(keys, primary.lock_version(), fate.commit_ts, stop));
  return fate;
}

// A store has turned asynchronous commit down for its region, so the primary's commit decides after all.
Result<Fate> LockResolver::fate_without_secondaries(const tikvpb::LockInfo& primary,
                                                    const std::stop_token& stop) {
  const uint64_t now = TRY(client_.pd().timestamp(stop));
  auto request = ask_for(primary.primary_lock(), primary.lock_version(), now, true);
  request.set_force_sync_commit(true);
  tikvpb::CheckTxnStatusResponse response;
  TRY(client_.ask(primary.primary_lock(), request, &response, stop));
  if (response.has_error()) return fail(EIO, "state of a transaction: " + text_of(response.error()));
  return Fate{!response.has_lock_info(), response.commit_version()};
}

Status LockResolver::finish(std::span<const std::string> keys, uint64_t start_ts, uint64_t commit_ts,
                            const std::stop_token& stop) {
  return client_.each_part(keys, stop, [&](TikvClient::Part& part) -> Result<TikvClient::Next> {
    tikvpb::ResolveLockRequest request;
    request.set_start_version(start_ts);
    request.set_commit_version(commit_ts);
    for (size_t place : part.keys) request.add_keys(keys[place]);
    tikvpb::ResolveLockResponse response;
    if (TRY(client_.send(part.region, request, &response, stop)) != TikvClient::Sent::answered)
      return TikvClient::Next::again;
    if (response.has_error()) return fail(EIO, "a left lock: " + text_of(response.error()));
    return TikvClient::Next::others;
  });
}

Result<Fate> LockResolver::settle(const std::vector<std::string>& keys, uint64_t start_ts,
                                  const std::stop_token& stop) {
  auto request = ask_for(keys.front(), start_ts, TRY(client_.pd().timestamp(stop)), true);
  tikvpb::CheckTxnStatusResponse response;
  TRY(client_.ask(keys.front(), request, &response, stop));
  if (response.has_error()) return fail(EIO, "state of a transaction: " + text_of(response.error()));
  if (response.commit_version() > 0) return Fate{true, response.commit_version()};
  if (response.lock_info().use_async_commit()) {
    const Fate fate = TRY(fate_by_secondaries(response.lock_info(), stop));
    if (fate.decided) return fate;
  }
  // The primary alone, first: while it can still be committed, by a request of ours that is under way, no
  // other key may be rolled back.
  const std::span<const std::string> all(keys);
  if (!TRY(roll_back(all.first(1), start_ts, stop))) return settle(keys, start_ts, stop);
  TRY(roll_back(all.subspan(1), start_ts, stop));
  return Fate{true, 0};
}

Result<bool> LockResolver::roll_back(std::span<const std::string> keys, uint64_t start_ts,
                                     const std::stop_token& stop) {
  bool done = true;
  TRY(client_.each_part(keys, stop, [&](TikvClient::Part& part) -> Result<TikvClient::Next> {
    tikvpb::BatchRollbackRequest request;
    request.set_start_version(start_ts);
    for (size_t place : part.keys) request.add_keys(keys[place]);
    tikvpb::BatchRollbackResponse response;
    if (TRY(client_.send(part.region, request, &response, stop)) != TikvClient::Sent::answered)
      return TikvClient::Next::again;
    done &= !response.has_error();
    return TikvClient::Next::others;
  }));
  return done;
}

}  // namespace cider::meta::kv
