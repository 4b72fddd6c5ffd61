// Who wants to know which keys of the server change.
#pragma once

#include <string_view>

#include "base/clock.h"

namespace cider::meta::redis {

// Calls come from several threads.
class ChangeListener {
 public:
  virtual ~ChangeListener() = default;
  virtual void changed(std::string_view key) = 0;
  virtual void all_changed() = 0;
  // What was changed before `moment` has been told.
  virtual void told_until(Monotonic::time_point moment) = 0;
  // Changes are not told any more, until told_until().
  virtual void lost() = 0;
};

}  // namespace cider::meta::redis
