// The metadata engine `sqlite`: a volume in one SQLite file, in JuiceFS's tables.
//
// All changes of a process go through one writer that commits them in groups (sqlite_writer.h), and reads run
// beside it on connections of their own (WAL). Any number of processes of one machine share the file, JuiceFS
// among them; the lock is left to them now and then (sqlite_pace.h), and waited for up to a minute. Open it
// after the last fork().
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "meta/store/store.h"

namespace cider::meta {

struct SqliteOptions {
  bool create = false;     // makes the file if it is missing; the volume is made by create_volume()
  bool read_only = false;  // writes answer EROFS; an old schema is not completed
  std::chrono::milliseconds busy_limit{
      60'000};  // how long to wait for another process's lock; then ETIMEDOUT
};

// ENOENT: no such file (or folder, with `create`); EINVAL: not a SQLite database; EACCES and so on as the
// system says.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options);

}  // namespace cider::meta
