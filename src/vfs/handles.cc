#include "vfs/handles.h"

#include <fcntl.h>

#include <utility>

namespace cider::vfs {

void OpenInode::note_lock_owner(uint64_t owner, Handle handle) {
  std::lock_guard lock(mutex_);
  lock_owners_[owner] = handle;
}

bool OpenInode::forget_lock_owner(uint64_t owner) {
  std::lock_guard lock(mutex_);
  return lock_owners_.erase(owner) > 0;
}

std::vector<uint64_t> OpenInode::forget_lock_owners_of(Handle handle) {
  std::vector<uint64_t> owners;
  std::lock_guard lock(mutex_);
  std::erase_if(lock_owners_, [&](const auto& noted) {
    if (noted.second != handle) return false;
    owners.push_back(noted.first);
    return true;
  });
  return owners;
}

bool OpenHandle::readable() const {
  return (flags & O_ACCMODE) != O_WRONLY;
}
bool OpenHandle::writable() const {
  return (flags & O_ACCMODE) != O_RDONLY;
}

std::shared_ptr<OpenHandle> HandleTable::add(std::shared_ptr<OpenHandle> handle, const Attr* attr) {
  handle->id = next_.fetch_add(1, std::memory_order_relaxed);
  if (attr != nullptr) {
    InodeShard& place = inode_shard(handle->ino);
    std::lock_guard lock(place.mutex);
    auto& inode = place.inodes[handle->ino];
    if (!inode) inode = std::make_shared<OpenInode>(handle->ino, *attr);
    ++inode->handles_;
    handle->inode = inode;
  }
  HandleShard& place = shard(handle->id);
  std::lock_guard lock(place.mutex);
  place.handles.emplace(handle->id, handle);
  count_.fetch_add(1, std::memory_order_relaxed);
  return handle;
}

std::shared_ptr<OpenHandle> HandleTable::add_file(Ino ino, const Attr& attr, int flags) {
  auto handle = std::make_shared<OpenHandle>();
  handle->ino = ino;
  handle->flags = flags;
  return add(std::move(handle), &attr);
}

std::shared_ptr<OpenHandle> HandleTable::add_directory(Ino ino, const Attr& attr,
                                                       std::unique_ptr<DirStream> listing) {
  auto handle = std::make_shared<OpenHandle>();
  handle->ino = ino;
  handle->listing = std::move(listing);
  return add(std::move(handle), &attr);
}

std::shared_ptr<OpenHandle> HandleTable::add_internal(Ino ino, int flags,
                                                      std::unique_ptr<InternalFile> file) {
  auto handle = std::make_shared<OpenHandle>();
  handle->ino = ino;
  handle->flags = flags;
  handle->internal = std::move(file);
  return add(std::move(handle), nullptr);
}

Result<std::shared_ptr<OpenHandle>> HandleTable::find(Handle handle, Ino ino) const {
  HandleShard& place = shard(handle);
  std::lock_guard lock(place.mutex);
  const auto it = place.handles.find(handle);
  if (it == place.handles.end() || it->second->ino != ino) return fail(EBADF);
  return it->second;
}

std::shared_ptr<OpenHandle> HandleTable::remove(Handle handle, Ino ino) {
  std::shared_ptr<OpenHandle> gone;
  {
    HandleShard& place = shard(handle);
    std::lock_guard lock(place.mutex);
    const auto it = place.handles.find(handle);
    if (it == place.handles.end() || it->second->ino != ino) return nullptr;
    gone = std::move(it->second);
    place.handles.erase(it);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (gone->inode) {
    InodeShard& place = inode_shard(ino);
    std::lock_guard lock(place.mutex);
    if (--gone->inode->handles_ == 0) place.inodes.erase(ino);
  }
  return gone;
}

void HandleTable::close_internal() {
  std::vector<std::shared_ptr<OpenHandle>> gone;
  for (HandleShard& place : handles_) {
    std::lock_guard lock(place.mutex);
    std::erase_if(place.handles, [&](auto& entry) {
      if (!entry.second->internal) return false;
      gone.push_back(std::move(entry.second));
      return true;
    });
  }
  count_.fetch_sub(gone.size(), std::memory_order_relaxed);
}

std::shared_ptr<OpenInode> HandleTable::inode(Ino ino) const {
  InodeShard& place = inode_shard(ino);
  std::lock_guard lock(place.mutex);
  const auto it = place.inodes.find(ino);
  return it == place.inodes.end() ? nullptr : it->second;
}

}  // namespace cider::vfs
