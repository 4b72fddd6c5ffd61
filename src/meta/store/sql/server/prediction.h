// What an operation will ask and write, as far as hints tell. Nothing depends on its being right but the
// number of round trips, and how many wait for each other.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "meta/store/sql/server/hints.h"
#include "meta/store/sql/server/parts.h"
#include "meta/store/store.h"

namespace cider::meta::sql::server {

struct Prediction {
  Parts parts;                          // that will be asked, in the order of locks
  std::map<std::string, Lock> written;  // places that will be changed
  // Whether the writes are known so well that what is not written may be locked for reading alone. Two who
  // lock a row so and then both write it would wait for each other.
  bool may_share = false;
  // Whose row those who run it will wait for: the first inode that is patched, and not made.
  std::optional<Ino> busiest;

  Lock lock_of(const std::string& place) const {
    if (!locks_rows(place)) return Lock::none;
    return may_share && !written.contains(place) ? Lock::share : Lock::update;
  }
};

// Of several operations together.
void add_prediction(const Prediction& more, Prediction* out);

Prediction predict(Operation operation, Hints& hints);

}  // namespace cider::meta::sql::server
