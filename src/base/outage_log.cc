#include "base/outage_log.h"

#include "base/log.h"

namespace cider {

void OutageLog::failed(const Error& error) {
  std::lock_guard lock(mutex_);
  const auto now = clock_.monotonic();
  if (last_told_ && now - *last_told_ < kPause) {
    untold_++;
    return;
  }
  const std::string others =
      untold_ == 0 ? "" : " (and " + std::to_string(untold_) + " failures since the last such line)";
  log::warning(what_ + " fail, and are tried again: " + error.to_string() + others);
  told_ = true;
  last_told_ = now;
  untold_ = 0;
}

void OutageLog::tell_end() {
  std::lock_guard lock(mutex_);
  if (!told_) return;
  told_ = false;
  const std::string others = untold_ == 0 ? "" : ", after " + std::to_string(untold_) + " more failures";
  log::warning(what_ + " work again" + others);
  untold_ = 0;
}

}  // namespace cider
