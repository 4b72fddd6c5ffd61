#include "cli/gc/mend_counts.h"

#include <algorithm>

#include "base/log.h"
#include "cli/gc/large_counts.h"
#include "meta/gc/scan.h"

namespace cider::cli {
namespace {

using SliceUses = meta::Meta::SliceUses;

constexpr size_t kMostAtOnce = 100'000;

int64_t excess_of(const meta::KnownSlice& slice, const meta::Store& store) {
  const int64_t refs = slice.is_counted ? slice.refs : store.uncounted_refs();
  return refs - static_cast<int64_t>(slice.records);
}

// Those that the plan mends, in the order of the table.
std::vector<SliceUses> suspects(const meta::SliceTable& slices, const meta::Store& store,
                                const MendPlan& plan, CountReport* report) {
  std::vector<SliceUses> found;
  for (const meta::KnownSlice& slice : slices.all()) {
    const int64_t excess = excess_of(slice, store);
    if (excess == 0) continue;
    ++(excess < 0 ? report->small : report->large);
    if (!(excess < 0 ? plan.raise : plan.lower)) continue;
    if (found.size() < kMostAtOnce) found.push_back({slice.id, slice.size, {}, {}});
  }
  return found;
}

std::string name_of(const SliceUses& uses) {
  return "slice " + std::to_string(uses.id) + " of " + std::to_string(uses.size) + " bytes";
}

// Compares one slice anew, and mends its count, or notes that it is too large.
Status mend_one(meta::Meta& meta, const SliceUses& uses, const MendPlan& plan, LargeCounts* large,
                CountReport* report) {
  meta::Meta::CheckedCount found = TRY(meta.mend_count(uses, 0));
  if (found.added > 0) {
    ++report->raised;
    log::warning(name_of(uses) + " had " + std::to_string(found.refs.value_or(0)) +
                 " references counted, and has " + std::to_string(found.records));
  }
  const int64_t excess = found.refs.value_or(0) - found.records;
  if (excess <= 0 || !plan.lower) return {};
  const int64_t most = large->see(uses.id, uses.size, excess, plan.now, plan.apart);
  if (most > 0) found = TRY(meta.mend_count(uses, most));
  if (found.added >= 0) {
    ++report->waiting;
    return {};
  }
  large->forget(uses.id, uses.size);
  ++report->lowered;
  return {};
}

}  // namespace

Result<CountReport> mend_counts(meta::Meta& meta, object::ObjectStore& objects,
                                const meta::SliceTable& slices, const MendPlan& plan) {
  CountReport report;
  std::vector<SliceUses> found = suspects(slices, meta.store(), plan, &report);
  if (!plan.raise && !plan.lower) return report;
  if (!found.empty()) TRY(meta::find_uses(meta.store(), found));
  LargeCounts large;
  if (plan.lower) large = TRY(LargeCounts::load(objects));
  for (const SliceUses& uses : found) {
    if (Status done = mend_one(meta, uses, plan, &large, &report); !done) {
      log::warning("the count of " + name_of(uses) + " could not be checked: " + done.error().to_string());
      ++report.failed;
    }
  }
  if (plan.lower) TRY(large.save(objects));
  return report;
}

std::string describe_mended(const CountReport& report) {
  std::string text = "corrected " + std::to_string(report.raised) + " counts that were too small and " +
                     std::to_string(report.lowered) + " that were too large";
  if (report.waiting > 0) {
    text += "; " + std::to_string(report.waiting) +
            " more seem too large: they are corrected by a run an hour later that finds them so again";
  }
  if (report.failed > 0) text += "; " + std::to_string(report.failed) + " could not be checked";
  return text;
}

}  // namespace cider::cli
