// A row of jfs_node: the attributes of an inode as columns.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/types.h"
#include "meta/model/attr.h"
#include "meta/store/sql/session.h"

namespace cider::meta::sql {

// The columns that read_attr takes, in its order, of the table (or alias) `t` with its dot.
#define CIDER_NODE_COLUMNS(t)                                                                        \
  t "type," t "flags," t "mode," t "uid," t "gid," t "atime," t "mtime," t "ctime," t "atimensec," t \
    "mtimensec," t "ctimensec," t "nlink," t "length," t "rdev," t "parent," t "access_acl_id," t    \
    "default_acl_id," t "tier_id"

// The attributes in the columns from `first` on. EIO, with the inode's number, where they make no sense.
Result<Attr> read_attr(const Rows& row, int first, Ino ino);

// Format: JuiceFS 1.4 pkg/meta/sql.go setAtime: nanoseconds since 1970 divided by 1000, and the remainder,
// both rounded toward zero: before 1970 both are negative. Microseconds reach over the whole range of years;
// beyond it they stay at its ends.
struct SqlTime {
  int64_t micros = 0;
  int64_t nanos = 0;
  bool operator==(const SqlTime&) const = default;
};
SqlTime to_sql_time(Time t);
Time from_sql_time(SqlTime t);

}  // namespace cider::meta::sql
