#include "meta/store/sql/sqlite/sqlite_wal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace cider::meta::sqlite {

WalFile::~WalFile() {
  if (fd_ >= 0) close(fd_);
}

Status WalFile::sync() {
  std::unique_lock lock(mutex_);
  const uint64_t mine = begun_ + 1;  // one that is under way may have begun before the caller's commit
  finished_one_.wait(lock, [&] { return !running_ || finished_ >= mine; });
  if (broken_ || finished_ >= mine) return outcome_;
  running_ = true;
  const uint64_t number = ++begun_;
  lock.unlock();
  Status opened = open_present();
  Status synced = opened ? sync_file() : opened;
  lock.lock();
  running_ = false;
  finished_ = number;
  broken_ = opened && !synced;
  outcome_ = synced;
  finished_one_.notify_all();
  return synced;
}

Status WalFile::sync_file() {
  if (fd_ >= 0 && fdatasync(fd_) != 0) return fail_errno("sync of " + database_ + "-wal");
  return {};
}

// While a connection is open SQLite keeps the log's file, it only truncates it; but look, whatever removed
// it.
Status WalFile::open_present() {
  const std::string path = database_ + "-wal";
  struct stat present;
  if (stat(path.c_str(), &present) != 0) {
    if (errno == ENOENT) return {};  // nothing was ever committed, or all of it was checkpointed
    return fail_errno(path);
  }
  if (fd_ >= 0 && present.st_dev == device_ && present.st_ino == inode_) return {};
  if (fd_ >= 0) close(fd_);
  fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  inode_ = 0;
  if (fd_ < 0) return fail_errno(path);
  if (fstat(fd_, &present) != 0) return fail_errno(path);

  const std::string folder = std::filesystem::path(database_).parent_path();
  int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return fail_errno(folder);
  int rc = fsync(folder_fd);
  auto error = fail_errno("sync of " + folder);
  close(folder_fd);
  if (rc != 0) return error;
  device_ = present.st_dev;
  inode_ = present.st_ino;
  return {};
}

}  // namespace cider::meta::sqlite
