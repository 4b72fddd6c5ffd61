// Questions of a flight that one statement asks: for several inodes, or several entries of a directory.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/sql/server/parts.h"
#include "meta/store/sql/session.h"
#include "meta/store/sql/statement.h"

namespace cider::meta::sql::server {

struct SharedQuestion {
  std::vector<Parts::value_type*> parts;  // at least one

  // False if it can't be asked together with the others.
  bool add(Parts::value_type& part);
  Statement statement() const;
  // Gives each part its answer.
  Status take(Rows& rows) const;
};

}  // namespace cider::meta::sql::server
