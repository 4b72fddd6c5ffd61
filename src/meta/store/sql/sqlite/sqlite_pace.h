// When the writer leaves the database to others.
//
// SQLite has one write lock and no queue for it. Who commits back to back starves every other process: a
// CiderFS that looks for the lock every millisecond, and far more a JuiceFS, whose transactions begin by
// reading, fail at once if anybody committed since, and are given up with EIO after 50 tries. So after some
// time of work comes a gap:
//
//   alone                     20 ms of work, 0.5 ms gap   (a tool may want its turn; nobody may)
//   another session is live   10 ms of work,   4 ms gap   (JuiceFS gets through at every fourth try or so)
//   others do commit           5 ms of work,   5 ms gap
//
// Time in which the writer had nothing to do counts as a gap. Used by the thread that leads the writer only.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>

#include "base/result.h"
#include "meta/store/sql/sqlite/sqlite_db.h"

namespace cider::meta::sqlite {

class Pace {
 public:
  // Before BEGIN: sleeps if a gap is due.
  void wait();
  // Within a transaction, now and then looks at who else is there.
  Status look_around(Connection& db);
  void finished();  // after COMMIT

  // A session of this process is not a foreign one. Thread-safe.
  void add_own(uint64_t sid);

 private:
  using Clock = std::chrono::steady_clock;
  Result<bool> foreign_session(Connection& db);

  Clock::time_point begun_{};           // of the present group
  Clock::time_point ended_{};           // of the last one
  Clock::duration worked_{};            // since the last gap
  Clock::time_point next_look_{};       // for commits of others
  Clock::time_point next_sessions_{};   // for live sessions
  Clock::time_point foreign_commit_{};  // when one was noticed last
  int64_t data_version_ = 0;
  bool foreign_session_ = false;
  std::mutex own_mutex_;
  std::set<uint64_t> own_;
};

}  // namespace cider::meta::sqlite
