// Changes of the volume's usage and of directories' statistics, summed up in memory and written once a
// second: for engines where a counter in every commit would be a hot row or key.
//
// Of the volume's usage memory is not the master: each commit also adds its own to a total of the client's in
// the database, and what is counted is the difference between that and what of it has been counted before. So
// others can do it for a client that was killed (Store::count_left_usage()). Statistics of directories that
// were not written are lost with it, as in JuiceFS; their checks put that right.
//
// How an engine uses it: after a commit it passes the commit's writes to add() (others than AddUsage,
// AddDirStat and DeleteDirStat are ignored; those of commits that follow each other may come in any order,
// as nobody adds to a directory that is gone), after one that counted usage that to counted();
// answers to UsageRead and DirStatRead it completes with complete(); counters with pending(). sync() and the
// end of the store call flush(). The thread begins with start(), after the last fork().
//
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta {

// In the order of inodes, so that clients that write several rows don't wait for each other in a circle.
struct UsageSums {
  int64_t space = 0;
  int64_t inodes = 0;
  std::map<Ino, DirStat> dirs;  // without those that are zero
  bool empty() const { return space == 0 && inodes == 0 && dirs.empty(); }
};

class PendingUsage {
 public:
  // Counts the volume's usage, and adds the directories' sums to what is stored, all of them or none; those
  // that have no row are passed over. Called by one thread at a time.
  using Write = std::function<Status(const UsageSums& sums, std::stop_token stop)>;

  explicit PendingUsage(Write write, std::chrono::milliseconds interval = std::chrono::seconds(1));
  ~PendingUsage();  // ends the thread; what is pending is lost: call flush() before
  PendingUsage(const PendingUsage&) = delete;

  void start();
  void stop();  // the thread; a flush of its own that is under way is interrupted

  void add(const WriteItem& item);
  // So much of the volume's usage has gone from what was pending into the counters.
  void counted(const UsageRead& usage);
  // Writes everything that was added before. On an error it stays pending.
  Status flush(std::stop_token stop = {});

  // Adds what is not written yet to an answer of the engine.
  void complete(ReadItem* item) const;
  UsageRead pending() const;

 private:
  void run(const std::stop_token& stop);

  const Write write_;
  const std::chrono::milliseconds interval_;
  std::mutex flushing_;  // held while `write_` runs
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  UsageSums sums_;
  std::map<Ino, DirStat> under_way_;  // given to `write_`, whose outcome is not known yet
  std::jthread thread_;
};

}  // namespace cider::meta
