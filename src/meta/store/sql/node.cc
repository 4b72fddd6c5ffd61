#include "meta/store/sql/node.h"

#include <limits>
#include <string>

namespace cider::meta::sql {

SqlTime to_sql_time(Time t) {
  constexpr int64_t kLastSecond = std::numeric_limits<int64_t>::max() / 1'000'000 - 1;
  if (t.sec > kLastSecond) return {std::numeric_limits<int64_t>::max(), 0};
  if (t.sec < -kLastSecond) return {std::numeric_limits<int64_t>::min(), 0};
  int64_t micros = t.sec * 1'000'000 + t.nsec / 1000;
  int64_t nanos = t.nsec % 1000;
  if (micros < 0 && nanos > 0) return {micros + 1, nanos - 1000};
  return {micros, nanos};
}

Time from_sql_time(SqlTime t) {
  // Both parts are divided rounding toward zero, whatever the columns hold, so nothing overflows; then made
  // positive.
  int64_t sec = t.micros / 1'000'000;
  int64_t nsec = t.micros % 1'000'000 * 1000 + t.nanos % 1000;
  if (nsec < 0) {
    --sec;
    nsec += 1'000'000'000;
  }
  return {sec, static_cast<uint32_t>(nsec)};
}

Result<Attr> read_attr(const Rows& row, int first, Ino ino) {
  auto integer = [&](int column) { return row.integer(first + column); };
  int64_t type = integer(0);
  if (type < static_cast<int64_t>(FileType::file) || type > static_cast<int64_t>(FileType::socket)) {
    return fail(EIO, "inode " + std::to_string(ino) + " has unknown type " + std::to_string(type));
  }
  Attr attr;
  attr.type = static_cast<FileType>(type);
  attr.flags = static_cast<uint8_t>(integer(1));
  attr.mode = static_cast<uint16_t>(integer(2) & 07777);
  attr.uid = static_cast<uint32_t>(integer(3));
  attr.gid = static_cast<uint32_t>(integer(4));
  attr.atime = from_sql_time({integer(5), integer(8)});
  attr.mtime = from_sql_time({integer(6), integer(9)});
  attr.ctime = from_sql_time({integer(7), integer(10)});
  attr.nlink = static_cast<uint32_t>(integer(11));
  attr.length = static_cast<uint64_t>(integer(12));
  attr.rdev = static_cast<uint32_t>(integer(13));
  attr.parent = static_cast<Ino>(integer(14));
  attr.access_acl = static_cast<uint32_t>(integer(15));
  attr.default_acl = static_cast<uint32_t>(integer(16));
  attr.tier = static_cast<uint8_t>(integer(17));
  return attr;
}

}  // namespace cider::meta::sql
