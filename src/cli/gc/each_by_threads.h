// A loop whose steps run on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace cider::cli {

// Calls `step` for 0 ... count-1, in any order and several at once, and returns when all have ended.
inline void each_by_threads(size_t count, int threads, FunctionRef<void(size_t)> step) {
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> workers;
  const size_t n = std::min(count, static_cast<size_t>(threads));
  for (size_t i = 0; i < n; ++i) {
    workers.emplace_back([&] {
      for (size_t at = next++; at < count; at = next++) step(at);
    });
  }
}

}  // namespace cider::cli
