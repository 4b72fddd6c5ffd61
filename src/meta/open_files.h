// Which inodes this client has open. Decides whether an unlinked file lives on, so it is part of unlink's
// input. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/types.h"

namespace cider::meta {

// open() registers the inode before it reads its attributes. An unlink marks the inode while its commit is
// under way; an open that comes meanwhile waits for the outcome. So a handle that open() returned always
// reads.
class OpenFiles {
 public:
  // Counts a handle. Waits while the inode is marked by a Removal.
  void open(Ino ino);
  // Counts one less. True when it was the last and the file was unlinked meanwhile: unless a link gave it a
  // name again, its data is now unwanted.
  bool close(Ino ino);
  bool is_open(Ino ino) const;
  // The file has lost its last name but lives on until its last close. False where that has come already:
  // then nobody else will remove it.
  bool set_unlinked(Ino ino);
  std::vector<Ino> open_inodes() const;

  // A lock's owner on an inode that is open, and the session under which it got the lock. A lock of a session
  // that is no more is lost; it stays noted until the inode's last close.
  struct LockOwner {
    bool is_flock = false;
    uint64_t owner = 0;
    auto operator<=>(const LockOwner&) const = default;
  };
  void note_lock(Ino ino, LockOwner owner, uint64_t sid);
  void forget_lock(Ino ino, LockOwner owner, uint64_t sid);
  bool has_locks(Ino ino) const;
  std::vector<Ino> locked_under(uint64_t sid) const;
  bool has_lost_locks(Ino ino, uint64_t sid) const;  // `sid`: the session now

  // The inodes that one operation may remove. Sampling marks an inode until the Removal is gone.
  class Removal {
   public:
    explicit Removal(OpenFiles& files) : files_(files) {}
    ~Removal();
    Removal(const Removal&) = delete;
    Removal& operator=(const Removal&) = delete;
    bool sample_open(Ino ino);

   private:
    OpenFiles& files_;
    std::vector<Ino> marked_;
  };

 private:
  struct State {
    uint32_t handles = 0;
    uint32_t removals = 0;
    bool unlinked = false;
    std::map<LockOwner, uint64_t> locks;
  };

  mutable std::mutex mutex_;
  std::condition_variable removal_done_;
  std::unordered_map<Ino, State> inodes_;
};

}  // namespace cider::meta
