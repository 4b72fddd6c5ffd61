#include "meta/store/kv/tikv/tikv_gc.h"

#include <tikv.pb.h>
#include "meta/store/kv/tikv/lock_resolver.h"

namespace cider::meta::kv {
namespace {

constexpr uint32_t kPage = 1024;

// Those of one region; moves `from` to what comes next. False: not all of them were to be had, or settled.
Result<bool> settle_region(TikvClient& client, uint64_t safe_point, std::string* from, bool* at_end,
                           const std::stop_token& stop) {
  const TikvRegion region = TRY(client.region_of(*from, stop));
  tikvpb::ScanLockRequest request;
  request.set_max_version(safe_point);
  request.set_start_key(*from);
  request.set_end_key(region.end);
  request.set_limit(kPage);
  tikvpb::ScanLockResponse response;
  if (TRY(client.send(region, request, &response, stop)) != TikvClient::Sent::answered) return false;
  if (response.has_error()) return fail(EIO, "TiKV: " + response.error().ShortDebugString());
  LockResolver resolver(client);
  for (const tikvpb::LockInfo& lock : response.locks()) {
    if (!TRY(resolver.resolve(lock, stop))) return false;
  }
  if (response.locks_size() == static_cast<int>(kPage)) {
    *from = response.locks(response.locks_size() - 1).key() + '\0';
  } else {
    *from = region.end;
    *at_end = region.end.empty();
  }
  return true;
}

}  // namespace

Status move_safe_point(TikvClient& client, std::chrono::milliseconds age, const std::stop_token& stop) {
  const uint64_t now = TRY(client.pd().timestamp(stop));
  const uint64_t safe_point = now - timestamps_of(age);
  std::string from;
  TikvClient::Patience patience(client);
  for (bool at_end = false; !at_end;) {
    if (!TRY(settle_region(client, safe_point, &from, &at_end, stop))) TRY(patience.pause(stop));
  }
  return client.pd().move_safe_point(safe_point, stop);
}

}  // namespace cider::meta::kv
