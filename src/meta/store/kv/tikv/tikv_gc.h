// Old versions of values: TiKV keeps them until the cluster's safe point is moved on, which in a cluster
// without TiDB nobody does but its clients, as JuiceFS's do.
#pragma once

#include <chrono>
#include <stop_token>

#include "base/result.h"
#include "meta/store/kv/tikv/tikv_client.h"

namespace cider::meta::kv {

// Settles what transactions older than `age` have left locked, in the whole cluster, and moves the safe point
// there: what reads at an older timestamp fails from then on.
Status move_safe_point(TikvClient& client, std::chrono::milliseconds age, const std::stop_token& stop);

}  // namespace cider::meta::kv
