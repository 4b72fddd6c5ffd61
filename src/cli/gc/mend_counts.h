// Slices whose counts differ from their records: what gc says of them and does about them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "meta/gc/slice_table.h"
#include "meta/meta.h"
#include "object/object_store.h"

namespace cider::cli {

struct MendPlan {
  bool raise = false;
  bool lower = false;
  int64_t now = 0;    // unix seconds
  int64_t apart = 0;  // between the two times that a count was found too large
};

struct CountReport {
  uint64_t small = 0;  // in the scan; some of these were just changing
  uint64_t large = 0;
  uint64_t raised = 0;
  uint64_t lowered = 0;
  uint64_t waiting = 0;  // too large, to be looked at again by a later run
  uint64_t failed = 0;
};

// Compares the counts with the records and mends them as the plan says. Needs memory for those that differ,
// of which it looks at 100 000; the rest is left to the next run.
Result<CountReport> mend_counts(meta::Meta& meta, object::ObjectStore& objects,
                                const meta::SliceTable& slices, const MendPlan& plan);

std::string describe_mended(const CountReport& report);

}  // namespace cider::cli
