// statfs: how much the volume holds and may hold.
#include <algorithm>
#include <limits>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {

Result<VolumeUsage> Meta::usage() {
  const OpTimer<"StatFS"> timer;
  uint64_t space = 0;
  uint64_t inodes = 0;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& used = tx.ask(UsageRead{});
        TRY(tx.fetch());
        space = std::max<int64_t>(used.space, 0);
        inodes = std::max<int64_t>(used.inodes, 0);
        return {};
      },
      {}));
  std::shared_ptr<const Volume> volume = this->volume();
  VolumeUsage out;
  if (volume->capacity > 0) {
    out.total_space = std::max(volume->capacity, space);
  } else {
    // Without a limit: 1 PiB, doubled until no more than 80 % of it is used.
    out.total_space = 1ULL << 50;
    while (out.total_space < (1ULL << 62) && space / 8 > out.total_space / 10) out.total_space <<= 1;
  }
  out.available_space = out.total_space - std::min(space, out.total_space);
  out.used_inodes = inodes;
  if (volume->inodes > 0) {
    out.available_inodes = volume->inodes - std::min(inodes, volume->inodes);
  } else {
    out.available_inodes = 10 << 20;
    while (out.available_inodes < (1ULL << 62) && inodes / 4 > out.available_inodes)
      out.available_inodes <<= 1;
  }
  return out;
}

}  // namespace cider::meta
