// Makes commits survive a power loss.
//
// With synchronous=NORMAL a commit writes its pages into the log file `<database>-wal` and syncs nothing.
// sync() brings that file to the disk. That is enough:
// - A commit is in the log until a checkpoint has copied it into the database, and a checkpoint syncs the log
// before it copies and
//   the database after it, before the log may be begun anew (SQLite's walCheckpoint, with NORMAL and FULL;
//   only a foreign process with synchronous=OFF would not). So a commit is in the log of now, or on the disk.
// - Recovery takes every frame whose checksum chain is whole, so all frames up to the commit must be there,
// and they are: they
//   were written before sync() began, and fdatasync covers the whole file with its length.
// - The log's directory entry is synced once per file, as the database's.
// The log is opened by itself and never through SQLite; the database file must not be: closing any descriptor
// of it would drop the process's POSIX locks on it. No locks are held on the log, they are on `-shm`.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/result.h"

namespace cider::meta::sqlite {

// Thread-safe.
class WalFile {
 public:
  explicit WalFile(std::string database) : database_(std::move(database)) {}
  ~WalFile();
  WalFile(const WalFile&) = delete;
  WalFile& operator=(const WalFile&) = delete;

  // Callers that come while one syncs share the next. A sync that failed on the disk fails for good.
  Status sync();

 private:
  Status sync_file();
  Status open_present();

  const std::string database_;
  std::mutex mutex_;
  std::condition_variable finished_one_;
  bool running_ = false;
  uint64_t begun_ = 0;  // syncs so far
  uint64_t finished_ = 0;
  bool broken_ = false;  // what the kernel failed to write it may have dropped: later syncs prove nothing
  Status outcome_;       // of the last one finished
  // Used by the one that syncs.
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace cider::meta::sqlite
