// What the cache is asked for on the command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "chunk/cache/block_file.h"

namespace cider::chunk {

// two_random: of two blocks the one that was used longer ago. lru: the oldest of 16. none: what is there
// stays, and nothing is added to a full cache.
enum class Eviction { two_random, lru, none };

struct CacheOptions {
  // Directories (patterns with * ? [ are expanded) separated by ':', or by ',' where there is no ':';
  // "memory": none.
  std::string dirs;
  uint64_t size = uint64_t{100} << 30;  // bytes, for all directories together; 0: no cache
  uint64_t items = 0;                   // blocks, for all directories; 0: as many as fit
  double free_ratio = 0.1;
  unsigned mode = 0600;
  bool partial_only = false;  // no blocks of the full block size but for those of small reads
  bool large_write = false;   // also own blocks of the full block size
  bool only_asked = false;    // no block but for those that somebody asks for: the store is on the same disk
  Verify verify = Verify::extend;
  Eviction eviction = Eviction::two_random;
  std::chrono::seconds scan_interval{3600};  // 0: only at the start
  std::chrono::seconds expire{0};            // 0: never

  bool in_memory() const { return dirs == "memory"; }
};

// What `dirs` names, sorted, without trailing slashes; patterns give the directories that are there.
std::vector<std::string> expand_cache_dirs(const std::string& dirs);

// "none", "full", "shrink", "extend"; "2-random", "lru", "none". EINVAL otherwise.
Result<Verify> parse_verify(std::string_view text);
Result<Eviction> parse_eviction(std::string_view text);

}  // namespace cider::chunk
