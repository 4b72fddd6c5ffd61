#include "meta/store/kv/tikv/lock_resolver.h"

#include <algorithm>
#include <optional>

#include <tikv.pb.h>

namespace cider::meta::kv {
namespace {

using Next = TikvClient::Next;
using Part = TikvClient::Part;
using Sent = TikvClient::Sent;

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
  uint64_t commit_ts = primary.min_commit_ts();
  std::optional<uint64_t> told;
  bool refused = false;
  TRY((client_.ask_parts<tikvpb::CheckSecondaryLocksRequest, tikvpb::CheckSecondaryLocksResponse>(
      keys, stop,
      [&](const Part& part, tikvpb::CheckSecondaryLocksRequest* request) {
        for (size_t place : part.keys) request->add_keys(keys[place]);
        request->set_start_version(primary.lock_version());
      },
      [&](const Part& part, Sent sent, const tikvpb::CheckSecondaryLocksResponse& response) -> Result<Next> {
        if (sent != Sent::answered) return Next::again;
        if (response.has_error()) return fail(EIO, "locks of a transaction: " + text_of(response.error()));
        if (static_cast<size_t>(response.locks_size()) < part.keys.size())
          told = std::max(told.value_or(0), response.commit_ts());
        for (const tikvpb::LockInfo& lock : response.locks()) {
          commit_ts = std::max(commit_ts, lock.min_commit_ts());
          refused |= !lock.use_async_commit();
        }
        return told || refused ? Next::end : Next::done;
      })));
  if (!told && refused) return fate_without_secondaries(primary, stop);
  const Fate fate{true, told.value_or(commit_ts)};
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
  return client_.ask_parts<tikvpb::ResolveLockRequest, tikvpb::ResolveLockResponse>(
      keys, stop,
      [&](const Part& part, tikvpb::ResolveLockRequest* request) {
        request->set_start_version(start_ts);
        request->set_commit_version(commit_ts);
        for (size_t place : part.keys) request->add_keys(keys[place]);
      },
      [&](const Part&, Sent sent, const tikvpb::ResolveLockResponse& response) -> Result<Next> {
        if (sent != Sent::answered) return Next::again;
        if (response.has_error()) return fail(EIO, "a left lock: " + text_of(response.error()));
        return Next::done;
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
  TRY((client_.ask_parts<tikvpb::BatchRollbackRequest, tikvpb::BatchRollbackResponse>(
      keys, stop,
      [&](const Part& part, tikvpb::BatchRollbackRequest* request) {
        request->set_start_version(start_ts);
        for (size_t place : part.keys) request->add_keys(keys[place]);
      },
      [&](const Part&, Sent sent, const tikvpb::BatchRollbackResponse& response) -> Result<Next> {
        if (sent != Sent::answered) return Next::again;
        done &= !response.has_error();
        return Next::done;
      })));
  return done;
}

}  // namespace cider::meta::kv
