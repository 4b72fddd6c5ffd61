#include "meta/id_range.h"

#include <algorithm>

#include "base/log.h"

namespace cider::meta {

// What is left of a range is not used once the engine may have forgotten that it was given.
Result<uint64_t> IdRange::next(std::stop_token stop) {
  const auto lock = TRY(lock_.lock(stop));
  while (true) {
    const uint64_t incarnation = store_.incarnation();
    if (next_ >= end_ || incarnation_ != incarnation) {
      incarnation_ = incarnation;
      next_ = end_;
      int64_t end = TRY(store_.add_counter(counter_, batch_, stop));
      end_ = static_cast<uint64_t>(end);
      highest_end_ = std::max(highest_end_, end_);
      next_ = end_ - static_cast<uint64_t>(batch_);
    }
    uint64_t id = next_++;
    if (id > 1) return id;
  }
}

Status IdRange::skip_used() {
  const auto lock = TRY(lock_.lock({}));
  if (TRY(store_.highest_id(counter_)) > 0) return skip_used_locked();
  // How far the used numbers reach is not known: leaps that grow get beyond them in a few tries.
  next_ = end_;
  leap_ = std::min(leap_ * 4, batch_ << 24);
  log::error("a number of the counter " + std::string(counter_name(counter_)) +
             " was given twice: it was rolled back, as by a restored backup. It is raised by " +
             std::to_string(leap_));
  TRY(store_.add_counter(counter_, leap_));
  return skip_used_locked();
}

Status IdRange::check() {
  const auto lock = TRY(lock_.lock({}));
  if (highest_end_ == 0 || static_cast<uint64_t>(TRY(store_.counter(counter_))) >= highest_end_) return {};
  return skip_used_locked();
}

Status IdRange::skip_used_locked() {
  next_ = end_;
  uint64_t first_free = std::max(highest_end_, TRY(store_.highest_id(counter_)) + 1);
  auto current = static_cast<uint64_t>(TRY(store_.counter(counter_)));
  if (current >= first_free) return {};
  log::error("the database's counter " + std::string(counter_name(counter_)) + " stands at " +
             std::to_string(current) + ", although numbers up to " + std::to_string(first_free - 1) +
             " were given out: it was rolled back, as by a restored backup. It is raised");
  TRY(store_.add_counter(counter_, static_cast<int64_t>(first_free - current)));
  return {};
}

}  // namespace cider::meta
