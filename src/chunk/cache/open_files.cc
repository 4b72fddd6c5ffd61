#include "chunk/cache/open_files.h"

#include <sys/stat.h>

#include <utility>

namespace cider::chunk {

struct OpenFiles::Slot {
  BlockName block;
  BlockFile file;
  int users = 0;
  bool dropped = false;  // close it when the last user is gone
  uint64_t used = 0;     // Set::now at the last use

  bool holds(const BlockName& name) const { return file && !dropped && block == name; }
  void close() {
    file = BlockFile();
    dropped = false;
  }
};

struct OpenFiles::Set {
  std::mutex mutex;
  uint64_t now = 0;
  uint64_t drops = 0;
  std::array<Slot, kWays> slots;

  Slot* take(Slot& slot) {
    slot.users++;
    slot.used = ++now;
    return &slot;
  }
};

OpenFiles::OpenFiles() : sets_(std::make_unique<Set[]>(kSets)) {}
OpenFiles::~OpenFiles() = default;

OpenFiles::Lease::Lease(Lease&& other) noexcept
    : set_(other.set_), slot_(std::exchange(other.slot_, nullptr)), own_(std::move(other.own_)) {}

OpenFiles::Lease::~Lease() {
  if (!slot_) return;
  std::lock_guard lock(set_->mutex);
  if (--slot_->users == 0 && slot_->dropped) slot_->close();
}

BlockFile& OpenFiles::Lease::file() {
  return slot_ ? slot_->file : own_;
}

OpenFiles::Set& OpenFiles::set_of(const BlockName& block) {
  const uint64_t hash = (block.slice * 31 + block.index) * 0x9e3779b97f4a7c15;
  return sets_[hash >> 58];
}

OpenFiles::Lease OpenFiles::find(const BlockName& block, uint64_t* drops) {
  Lease lease;
  Set& set = set_of(block);
  std::lock_guard lock(set.mutex);
  *drops = set.drops;
  for (Slot& slot : set.slots) {
    if (!slot.holds(block)) continue;
    lease.set_ = &set;
    lease.slot_ = set.take(slot);
    break;
  }
  return lease;
}

OpenFiles::Lease OpenFiles::add(const BlockName& block, BlockFile file, uint64_t drops) {
  Lease lease;
  Set& set = set_of(block);
  std::lock_guard lock(set.mutex);
  Slot* place = nullptr;
  for (Slot& slot : set.slots) {
    if (slot.holds(block)) {  // somebody was faster
      place = &slot;
      break;
    }
    if (slot.users == 0 && (!place || slot.used < place->used)) place = &slot;
  }
  if (!place || set.drops != drops) {
    lease.own_ = std::move(file);
    return lease;
  }
  if (!place->holds(block)) {
    place->block = block;
    place->file = std::move(file);
    place->dropped = false;
  }
  lease.set_ = &set;
  lease.slot_ = set.take(*place);
  return lease;
}

void OpenFiles::drop(const BlockName& block) {
  Set& set = set_of(block);
  std::lock_guard lock(set.mutex);
  set.drops++;
  for (Slot& slot : set.slots) {
    if (!slot.holds(block)) continue;
    if (slot.users > 0) {
      slot.dropped = true;
    } else {
      slot.close();
    }
  }
}

void OpenFiles::drop_removed() {
  for (size_t i = 0; i < kSets; i++) {
    Set& set = sets_[i];
    std::lock_guard lock(set.mutex);
    for (Slot& slot : set.slots) {
      struct stat about{};
      if (!slot.file || slot.users > 0 || ::fstat(slot.file.fd(), &about) != 0) continue;
      if (about.st_nlink == 0) slot.close();
    }
  }
}

}  // namespace cider::chunk
