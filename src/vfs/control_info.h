// The answer to `info` about an inode: sums, paths, slices or objects, locks.
// Format: JuiceFS 1.4 pkg/vfs/internal.go InfoResponse as JSON; before 1.1 a text behind a u32 length.
#pragma once

#include <string>

#include "meta/meta.h"
#include "vfs/control_message.h"
#include "vfs/tree_summary.h"

namespace cider::vfs {

std::string info_reply(meta::Meta& meta, const Caller& caller, const InfoRequest& request,
                       const CountProgress& progress);
std::string legacy_info_reply(meta::Meta& meta, const Caller& caller, const InfoRequest& request,
                              const CountProgress& progress);

}  // namespace cider::vfs
