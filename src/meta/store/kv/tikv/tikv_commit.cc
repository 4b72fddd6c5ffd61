#include "meta/store/kv/tikv/tikv_commit.h"

#include <algorithm>

#include <tikv.pb.h>

namespace cider::meta::kv {
namespace {

constexpr size_t kMostAsynchronous = 256;  // keys, and
constexpr size_t kMostBytes = 4096;        // of keys: every lock reader may have to look at all
constexpr int kMostWaits = 6;
constexpr uint64_t kLockTime = 5000;  // milliseconds, from the present on

using Next = TikvClient::Next;
using Part = TikvClient::Part;
using Sent = TikvClient::Sent;

tikvpb::Op op_of(const std::optional<Value>& value) {
  if (!value) return tikvpb::Lock;
  return *value ? tikvpb::Put : tikvpb::Del;
}

}  // namespace

Result<Committed> TikvCommit::run() {
  auto committed = commit();
  if (!committed && (maybe_committed_ || locked_any_)) leave(std::nullopt);
  if (!committed && maybe_committed_) return Committed::unknown;
  return committed;
}

Result<Committed> TikvCommit::commit() {
  size_t bytes = 0;
  for (const std::string& key : mutations_.keys) bytes += key.size();
  asynchronous_ = mutations_.keys.size() <= kMostAsynchronous && bytes <= kMostBytes;
  auto locked = lock_all();
  if (!locked) return fail(locked.error());
  if (*locked == Locked::unknown) return settle();
  if (*locked == Locked::conflict) {
    // Others would have to wait until our locks have outlived their time.
    if (locked_any_ && !resolver_.settle(mutations_.keys, start_ts_, stop_.now)) leave(std::nullopt);
    return Committed::conflict;
  }
  if (committed_at_ > 0) return Committed::done;
  if (!asynchronous_) return commit_primary();
  leave(least_commit_);
  return Committed::done;
}

// With one conflict it is not committed, whatever comes of the other parts: but what is locked in them, or
// may be yet, is to be rolled back.
Result<TikvCommit::Locked> TikvCommit::lock_all() {
  Locked locked = Locked::yes;
  TRY((client_.ask_parts<tikvpb::PrewriteRequest, tikvpb::PrewriteResponse>(
      mutations_.keys, stop_,
      [&](const Part& part, tikvpb::PrewriteRequest* request) { fill(part, request); },
      [&](const Part&, Sent sent, const tikvpb::PrewriteResponse& response) -> Result<Next> {
        bool again = sent == Sent::moved;
        if (sent == Sent::answered) locked = std::max(locked, TRY(look_at(response, &again)));
        if (sent == Sent::unknown) locked = std::max(locked, Locked::unknown);
        locked_any_ |= sent == Sent::unknown;
        if (locked != Locked::yes) return Next::end;
        return again ? Next::again : Next::done;
      })));
  return locked;
}

void TikvCommit::fill(const Part& part, tikvpb::PrewriteRequest* request) const {
  for (size_t place : part.keys) {
    tikvpb::Mutation& mutation = *request->add_mutations();
    const std::optional<Value>& value = mutations_.values[place];
    mutation.set_op(mutations_.inserts.contains(place) ? tikvpb::Insert : op_of(value));
    mutation.set_key(mutations_.keys[place]);
    if (value && *value) mutation.set_value(**value);
  }
  request->set_primary_lock(mutations_.keys.front());
  request->set_start_version(start_ts_);
  request->set_lock_ttl(kLockTime + static_cast<uint64_t>(physical_of(later_than_) - physical_of(start_ts_)));
  request->set_txn_size(mutations_.keys.size());
  request->set_min_commit_ts(std::max(later_than_, start_ts_) + 1);
  request->set_try_one_pc(part.keys.size() == mutations_.keys.size());
  request->set_use_async_commit(asynchronous_);
  const bool has_primary = std::ranges::find(part.keys, size_t{0}) != part.keys.end();
  if (asynchronous_ && has_primary) {
    for (size_t i = 1; i < mutations_.keys.size(); ++i) request->add_secondaries(mutations_.keys[i]);
  }
}

Result<TikvCommit::Locked> TikvCommit::look_at(const tikvpb::PrewriteResponse& response,
                                               bool* locked_by_others) {
  for (const tikvpb::KeyError& error : response.errors()) {
    found_present_ |= error.has_already_exist();
    if (found_present_ || error.has_conflict() || !error.retryable().empty()) return Locked::conflict;
    if (!error.has_locked()) return fail(EIO, "TiKV: " + error.ShortDebugString());
    const bool gone = TRY(resolver_.resolve(error.locked(), stop_.now));
    // Who holds locks and waits for others may be waited for by them.
    if (!gone && locked_any_ && ++waits_ > kMostWaits) return Locked::conflict;
    *locked_by_others = true;
  }
  if (*locked_by_others) return Locked::yes;
  committed_at_ = response.one_pc_commit_ts();
  if (committed_at_ > 0) return Locked::yes;
  locked_any_ = true;
  if (response.min_commit_ts() == 0) asynchronous_ = false;  // the cluster will not
  least_commit_ = std::max(least_commit_, response.min_commit_ts());
  return Locked::yes;
}

Result<Committed> TikvCommit::commit_primary() {
  tikvpb::CommitRequest request;
  request.set_start_version(start_ts_);
  Interrupt stop = stop_;
  request.set_commit_version(TRY(client_.pd().timestamp(stop.now)));
  request.add_keys(mutations_.keys.front());
  tikvpb::CommitResponse response;
  TikvClient::Patience patience(client_);
  while (true) {
    const TikvRegion region = TRY(client_.region_of(mutations_.keys.front(), stop.now));
    const Sent sent = TRY(client_.send(region, request, &response, stop));
    maybe_committed_ |= sent == Sent::unknown;
    if (maybe_committed_) stop = stop.late;
    if (sent == Sent::answered && response.error().has_commit_ts_expired()) {
      request.set_commit_version(TRY(client_.pd().timestamp(stop.now)));
      continue;
    }
    if (sent == Sent::answered) break;
    TRY(patience.pause(stop.now));
  }
  if (response.has_error()) return settle();  // others have rolled it back, or a lost try has committed it
  leave(request.commit_version());
  return Committed::done;
}

Result<Committed> TikvCommit::settle() {
  maybe_committed_ = true;
  const Fate fate = TRY(resolver_.settle(mutations_.keys, start_ts_, stop_.late));
  maybe_committed_ = false;
  if (fate.commit_ts == 0) return Committed::conflict;
  leave(fate.commit_ts);
  return Committed::done;
}

void TikvCommit::leave(std::optional<uint64_t> commit_ts) {
  left_ = {mutations_.keys, start_ts_, commit_ts};
}

}  // namespace cider::meta::kv
