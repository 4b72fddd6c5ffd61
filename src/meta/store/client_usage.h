// A client's usage and its name, as engines keep them in the database (kv/usage_tally.h,
// sql/server/usage_tally.h).
#pragma once

#include <span>
#include <string>

#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta {

// So long the records of a client that is gone are kept: one that was only stopped finds them. Seconds.
inline constexpr int64_t kLeftUsageKept = 24 * 3600;

inline constexpr size_t kClientNameSize = 16;  // bytes
std::string random_client_name();

// What the writes add to the volume's usage.
UsageRead usage_of(std::span<const WriteItem> writes);

inline UsageRead difference(const UsageRead& total, const UsageRead& counted) {
  return {total.space - counted.space, total.inodes - counted.inodes};
}
inline bool is_zero(const UsageRead& usage) {
  return usage.space == 0 && usage.inodes == 0;
}

}  // namespace cider::meta
