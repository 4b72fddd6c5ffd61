// The cache's numbers in `.stats`, by JuiceFS's names.
#pragma once

#include "base/metrics.h"
#include "chunk/cache/block_index.h"

namespace cider::chunk {

struct CacheMetrics {
  explicit CacheMetrics(MetricSet& set)
      : blocks(set.counter("blockcache_blocks")),
        bytes(set.counter("blockcache_bytes")),
        hits(set.counter("blockcache_hits")),
        miss(set.counter("blockcache_miss")),
        hit_bytes(set.counter("blockcache_hit_bytes")),
        miss_bytes(set.counter("blockcache_miss_bytes")),
        writes(set.counter("blockcache_writes")),
        write_bytes(set.counter("blockcache_write_bytes")),
        drops(set.counter("blockcache_drops")),
        evicts(set.counter("blockcache_evicts")),
        io_errors(set.counter("blockcache_io_errors")),
        damaged(set.counter("blockcache_damaged")),  // JuiceFS has none
        read_seconds(set.histogram("blockcache_read_hist_seconds")),
        write_seconds(set.histogram("blockcache_write_hist_seconds")) {}

  Counter& blocks;
  Counter& bytes;
  Counter& hits;
  Counter& miss;
  Counter& hit_bytes;
  Counter& miss_bytes;
  Counter& writes;
  Counter& write_bytes;
  Counter& drops;
  Counter& evicts;
  Counter& io_errors;
  Counter& damaged;
  Histogram& read_seconds;
  Histogram& write_seconds;
};

}  // namespace cider::chunk
