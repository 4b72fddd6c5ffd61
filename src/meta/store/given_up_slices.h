// Write-commits that were given up while it was unknown whether they had been made, and turned out to be:
// when the data path tries one again, it is answered kCommittedBefore. Looking into the chunk would not do:
// its records may have been compacted since.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "meta/store/transaction.h"

namespace cider::meta {

// The new slices that a transaction makes part of files.
inline std::vector<uint64_t> new_slices(const Transaction& tx) {
  std::vector<uint64_t> out;
  for (const WriteItem& item : tx.writes()) {
    if (const auto* ref = std::get_if<InsertSliceRef>(&item)) out.push_back(ref->id);
  }
  return out;
}

// Not thread-safe.
class GivenUpSlices {
 public:
  // Of one commit; none are nothing to remember.
  void remember(std::vector<uint64_t> slices) {
    if (slices.empty()) return;
    committed_.push_back(std::move(slices));
    if (committed_.size() > kMost) committed_.pop_front();
  }
  bool were_committed(const std::vector<uint64_t>& slices) const {
    return !slices.empty() && std::ranges::find(committed_, slices) != committed_.end();
  }

 private:
  static constexpr size_t kMost = 4096;  // the data path tries again within seconds
  std::deque<std::vector<uint64_t>> committed_;
};

}  // namespace cider::meta
