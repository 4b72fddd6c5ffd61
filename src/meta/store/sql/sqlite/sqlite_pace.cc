#include "meta/store/sql/sqlite/sqlite_pace.h"

#include <thread>

#include "base/clock.h"
#include "meta/store/sql/schema.h"

namespace cider::meta::sqlite {

namespace {

using std::chrono::microseconds;

struct Rhythm {
  microseconds work;
  microseconds gap;
};
constexpr Rhythm kAlone{microseconds(20'000), microseconds(500)};
constexpr Rhythm kShared{microseconds(10'000), microseconds(4'000)};
constexpr Rhythm kContended{microseconds(5'000), microseconds(5'000)};

constexpr std::chrono::milliseconds kLookInterval{5};
constexpr std::chrono::seconds kSessionsInterval{2};
constexpr std::chrono::seconds kContentionMemory{1};  // a foreign commit counts this long
constexpr microseconds kIdle{1'000};                  // the database was free this long: as good as a gap

}  // namespace

void Pace::wait() {
  auto now = Clock::now();
  if (now - ended_ >= kIdle) worked_ = {};
  Rhythm rhythm = kAlone;
  if (foreign_session_) rhythm = kShared;
  if (foreign_commit_ != Clock::time_point{} && now - foreign_commit_ < kContentionMemory)
    rhythm = kContended;
  if (worked_ >= rhythm.work) {
    std::this_thread::sleep_for(rhythm.gap);
    worked_ = {};
  }
}

void Pace::finished() {
  ended_ = Clock::now();
  worked_ += ended_ - begun_;
}

Status Pace::look_around(Connection& db) {
  begun_ = Clock::now();
  if (begun_ < next_look_) return {};
  next_look_ = begun_ + kLookInterval;
  // Changes when another connection has committed, not with our own commits.
  Query row = TRY(db.query("PRAGMA data_version"));
  if (TRY(row.next())) {
    int64_t version = row.integer(0);
    if (data_version_ != 0 && version != data_version_) foreign_commit_ = begun_;
    data_version_ = version;
  }
  if (begun_ < next_sessions_) return {};
  next_sessions_ = begun_ + kSessionsInterval;
  foreign_session_ = TRY(foreign_session(db));
  return {};
}

Result<bool> Pace::foreign_session(Connection& db) {
  if (!TRY(sql::table_exists(db, "jfs_session2"))) return false;
  int64_t now = cider::Clock::system().now().sec;
  Query row = TRY(db.query("SELECT sid FROM jfs_session2 WHERE expire>=?", now));
  std::lock_guard lock(own_mutex_);
  while (TRY(row.next())) {
    if (!own_.contains(static_cast<uint64_t>(row.integer(0)))) return true;
  }
  return false;
}

void Pace::add_own(uint64_t sid) {
  std::lock_guard lock(own_mutex_);
  own_.insert(sid);
}

}  // namespace cider::meta::sqlite
