// Sums over a directory tree, for `info` and `summary`. Every entry is looked at, so the sums are exact.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "meta/meta.h"

namespace cider::vfs {

struct Summary {
  uint64_t length = 0;  // of files
  uint64_t size = 0;    // in units of 4 KiB, directories too
  uint64_t files = 0;   // whatever is not a directory
  uint64_t dirs = 0;
};

// Hears of entries and bytes as they are counted, from several threads.
using CountProgress = std::function<void(uint64_t entries, uint64_t bytes)>;

// `recursive`: below subdirectories too. EINTR when caller.interrupt is requested.
Result<Summary> summarize(meta::Meta& meta, const Caller& caller, Ino ino, bool recursive,
                          const CountProgress& progress);

struct TreeSummary {
  Ino ino = 0;
  std::string path;
  meta::FileType type = meta::FileType::directory;
  Summary sum;
  std::vector<TreeSummary> children;
};

// The `top` largest entries of each directory, `depth` levels deep; the others are one child "...".
Result<TreeSummary> summarize_tree(meta::Meta& meta, const Caller& caller, Ino ino, unsigned depth,
                                   unsigned top, const CountProgress& progress);

}  // namespace cider::vfs
