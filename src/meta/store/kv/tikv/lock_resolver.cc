#include "meta/store/kv/tikv/lock_resolver.h"

#include <algorithm>

#include <tikv.pb.h>

namespace cider::meta::kv {
namespace {

template <class Message>
std::string text_of(const Message& message) {
  return message.ShortDebugString();
}

}  // namespace

Result<bool> LockResolver::resolve(const tikvpb::LockInfo& lock, const std::stop_token& stop) {
  const Fate fate = TRY(fate_of(lock, stop));
  if (!fate.decided) return false;
  TRY(finish(lock.key(), lock.lock_version(), fate.commit_ts, stop));
  return true;
}

// Its time is told by its start, so that a clock of ours does not matter. A store rolls back what has
// outlived it, but for asynchronous commits.
Result<Fate> LockResolver::fate_of(const tikvpb::LockInfo& lock, const std::stop_token& stop) {
  const uint64_t now = TRY(client_.pd().timestamp(stop));
  const bool expired =
      physical_of(now) >= physical_of(lock.lock_version()) + static_cast<int64_t>(lock.lock_ttl());
  tikvpb::CheckTxnStatusRequest request;
  request.set_primary_key(lock.primary_lock());
  request.set_lock_ts(lock.lock_version());
  request.set_current_ts(now);
  request.set_rollback_if_not_exist(expired);
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
  const std::vector<std::string> keys(primary.secondaries().begin(), primary.secondaries().end());
  Fate fate{true, primary.min_commit_ts()};
  for (const std::string& key : keys) {
    tikvpb::CheckSecondaryLocksRequest request;
    request.add_keys(key);
    request.set_start_version(primary.lock_version());
    tikvpb::CheckSecondaryLocksResponse response;
    TRY(client_.ask(key, request, &response, stop));
    if (response.has_error()) return fail(EIO, "locks of a transaction: " + text_of(response.error()));
    if (response.locks().empty()) {
      fate.commit_ts = response.commit_ts();
      break;
    }
    fate.commit_ts = std::max(fate.commit_ts, response.locks(0).min_commit_ts());
  }
  TRY(finish(primary.primary_lock(), primary.lock_version(), fate.commit_ts, stop));
  for (const std::string& key : keys) TRY(finish(key, primary.lock_version(), fate.commit_ts, stop));
  return fate;
}

Status LockResolver::finish(const std::string& key, uint64_t start_ts, uint64_t commit_ts,
                            const std::stop_token& stop) {
  tikvpb::ResolveLockRequest request;
  request.set_start_version(start_ts);
  request.set_commit_version(commit_ts);
  request.add_keys(key);
  tikvpb::ResolveLockResponse response;
  TRY(client_.ask(key, request, &response, stop));
  if (response.has_error()) return fail(EIO, "a left lock: " + text_of(response.error()));
  return {};
}

Result<Fate> LockResolver::settle(const std::vector<std::string>& keys, uint64_t start_ts,
                                  const std::stop_token& stop) {
  tikvpb::CheckTxnStatusRequest request;
  request.set_primary_key(keys.front());
  request.set_lock_ts(start_ts);
  request.set_current_ts(TRY(client_.pd().timestamp(stop)));
  request.set_rollback_if_not_exist(true);
  tikvpb::CheckTxnStatusResponse response;
  TRY(client_.ask(keys.front(), request, &response, stop));
  if (response.has_error()) return fail(EIO, "state of a transaction: " + text_of(response.error()));
  if (response.commit_version() > 0) return Fate{true, response.commit_version()};
  if (response.lock_info().use_async_commit()) return fate_by_secondaries(response.lock_info(), stop);
  for (const std::string& key : keys) {
    tikvpb::BatchRollbackRequest rollback;
    rollback.set_start_version(start_ts);
    rollback.add_keys(key);
    tikvpb::BatchRollbackResponse rolled_back;
    TRY(client_.ask(key, rollback, &rolled_back, stop));
    // Only the primary can be committed here, by a request of ours that was under way.
    if (rolled_back.has_error() && key == keys.front()) return settle(keys, start_ts, stop);
  }
  return Fate{true, 0};
}

}  // namespace cider::meta::kv
