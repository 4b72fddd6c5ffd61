// A file system in memory for tests and benchmarks of the transport. Not for anything else: permissions are
// the kernel's work, and its locks know no deadlocks.
//
// Files whose name begins with "blocked" never finish a read: it ends with EINTR when interrupted. On "stuck"
// files everything but lookup waits in the same way at flush.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "vfs/file_system.h"

namespace cider::fuse::testing {

using namespace cider::vfs;

class MemoryFs final : public FileSystem {
 public:
  explicit MemoryFs(Duration ttl = std::chrono::seconds(1)) : ttl_(ttl) {
    auto root = std::make_shared<Node>();
    root->attr = new_attr({}, FileType::directory, 0755);
    root->attr.parent = kRootIno;
    nodes_[kRootIno] = root;
  }

  std::atomic<int> blocked_reads{0};  // waiting now
  std::atomic<int> getattrs{0};
  std::atomic<int> interrupted{0};  // waits that ended with EINTR
  std::atomic<int> open_handles{0};
  Notifier notifier;

  // Frees the contents of all files.
  void clear() {
    std::lock_guard lock(mutex_);
    for (auto& [ino, node] : nodes_) node->blocks.clear();
  }

  // A change by "another client".
  void replace(const std::string& name, std::string_view text) {
    Ino ino;
    {
      std::lock_guard lock(mutex_);
      ino = nodes_.at(kRootIno)->names.at(name);
      Node& node = *nodes_.at(ino);
      node.blocks.clear();
      store(node, 0, text);
      node.attr.length = text.size();
      node.attr.mtime = Clock::system().now();
    }
    notifier({.ino = ino, .data = true});
  }

  Result<EntryReply> lookup(const Caller&, Ino parent, std::string_view name) override {
    if (name.size() > 255) return fail(ENAMETOOLONG);
    std::lock_guard lock(mutex_);
    auto directory = TRY(find(parent));
    auto found = directory->names.find(name);
    if (found == directory->names.end()) return EntryReply{.ino = 0, .entry_ttl = ttl_};
    return entry(found->second);
  }

  Result<AttrReply> getattr(const Caller&, Ino ino, std::optional<Handle>) override {
    getattrs.fetch_add(1, std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    return attr_reply(ino, *TRY(find(ino)));
  }

  Result<AttrReply> setattr(const Caller&, Ino ino, const SetAttr& set, std::optional<Handle>) override {
    std::lock_guard lock(mutex_);
    auto node = TRY(find(ino));
    Time now = Clock::system().now();
    if (set.mode) node->attr.mode = *set.mode;
    if (set.uid) node->attr.uid = *set.uid;
    if (set.gid) node->attr.gid = *set.gid;
    if (set.size) truncate(*node, *set.size);
    if (set.atime_now) node->attr.atime = now;
    if (set.mtime_now || set.size) node->attr.mtime = now;
    if (set.atime) node->attr.atime = *set.atime;
    if (set.mtime) node->attr.mtime = *set.mtime;
    node->attr.ctime = now;
    return attr_reply(ino, *node);
  }

  Result<std::string> readlink(const Caller&, Ino ino) override {
    std::lock_guard lock(mutex_);
    return TRY(find(ino))->target;
  }

  Result<EntryReply> mknod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                           uint32_t rdev) override {
    std::lock_guard lock(mutex_);
    FileType type = S_ISDIR(mode)    ? FileType::directory
                    : S_ISFIFO(mode) ? FileType::fifo
                    : S_ISCHR(mode)  ? FileType::char_device
                    : S_ISBLK(mode)  ? FileType::block_device
                    : S_ISSOCK(mode) ? FileType::socket
                                     : FileType::file;
    Ino ino = TRY(add(caller, parent, name, type, mode));
    nodes_[ino]->attr.rdev = rdev;
    return entry(ino);
  }

  Result<EntryReply> mkdir(const Caller& caller, Ino parent, std::string_view name, uint32_t mode) override {
    return mknod(caller, parent, name, S_IFDIR | mode, 0);
  }

  Result<EntryReply> symlink(const Caller& caller, Ino parent, std::string_view name,
                             std::string_view target) override {
    std::lock_guard lock(mutex_);
    Ino ino = TRY(add(caller, parent, name, FileType::symlink, 0777));
    nodes_[ino]->target = target;
    nodes_[ino]->attr.length = target.size();
    return entry(ino);
  }

  Result<EntryReply> link(const Caller&, Ino ino, Ino new_parent, std::string_view new_name) override {
    std::lock_guard lock(mutex_);
    auto directory = TRY(find(new_parent));
    auto node = TRY(find(ino));
    if (directory->names.contains(new_name)) return fail(EEXIST);
    insert(*directory, new_name, ino);
    ++node->attr.nlink;
    return entry(ino);
  }

  Status unlink(const Caller&, Ino parent, std::string_view name) override {
    std::lock_guard lock(mutex_);
    auto directory = TRY(find(parent));
    auto found = directory->names.find(name);
    if (found == directory->names.end()) return fail(ENOENT);
    --TRY(find(found->second))->attr.nlink;  // the node stays: handles may need it, and tests are short
    erase(*directory, name);
    return {};
  }

  Status rmdir(const Caller&, Ino parent, std::string_view name) override {
    std::lock_guard lock(mutex_);
    auto directory = TRY(find(parent));
    auto found = directory->names.find(name);
    if (found == directory->names.end()) return fail(ENOENT);
    if (!TRY(find(found->second))->names.empty()) return fail(ENOTEMPTY);
    erase(*directory, name);
    --directory->attr.nlink;
    return {};
  }

  Status rename(const Caller&, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags) override {
    std::lock_guard lock(mutex_);
    auto from = TRY(find(parent));
    auto to = TRY(find(new_parent));
    auto source = from->names.find(name);
    if (source == from->names.end()) return fail(ENOENT);
    Ino ino = source->second;
    auto target = to->names.find(new_name);
    if (target != to->names.end() && flags & kRenameNoReplace) return fail(EEXIST);
    if (flags & kRenameExchange) {
      if (target == to->names.end()) return fail(ENOENT);
      std::swap(source->second, target->second);
      return {};
    }
    erase(*from, name);
    erase(*to, new_name);
    insert(*to, new_name, ino);
    nodes_[ino]->attr.parent = new_parent;
    return {};
  }

  Result<OpenReply> open(const Caller&, Ino ino, int flags, bool) override {
    std::lock_guard lock(mutex_);
    auto node = TRY(find(ino));
    if (flags & O_TRUNC) truncate(*node, 0);
    return handle();
  }

  Result<CreateReply> create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                             int) override {
    std::lock_guard lock(mutex_);
    Ino ino = TRY(add(caller, parent, name, FileType::file, mode));
    return CreateReply{entry(ino), handle()};
  }

  Result<CreateReply> tmpfile(const Caller& caller, Ino, uint32_t mode, int) override {
    std::lock_guard lock(mutex_);
    Ino ino = next_ino_++;
    nodes_[ino] = std::make_shared<Node>();
    nodes_[ino]->attr = new_attr(caller, FileType::file, mode);
    nodes_[ino]->attr.nlink = 0;
    return CreateReply{entry(ino), handle()};
  }

  Result<BufferChain> read(const Caller& caller, Ino ino, Handle, uint64_t off, uint32_t size) override {
    std::unique_lock lock(mutex_);
    auto node = TRY(find(ino));
    if (node->name.starts_with("blocked")) return wait_interrupted(caller, lock);
    BufferChain chain;
    uint64_t end = std::min<uint64_t>(off + size, node->attr.length);
    while (off < end) {
      uint64_t index = off / kBlock;
      uint64_t at = off % kBlock;
      uint64_t length = std::min(end - off, kBlock - at);
      Block& block = node->blocks[index];
      block.shared = true;
      chain.push_back((block.data.empty() ? zeros_ : block.data).slice(at, length));
      off += length;
    }
    return chain;
  }

  void write(const Caller&, Ino ino, Handle, uint64_t off, Buffer data, bool,
             Completion<uint32_t> done) override {
    auto size = static_cast<uint32_t>(data.size());
    {
      std::lock_guard lock(mutex_);
      auto node = find(ino);
      if (!node) return done(fail(ENOENT));
      if (off % kBlock == 0 && data.size() == kBlock) {
        grow(**node, off + size);
        (*node)->blocks[off / kBlock] = {std::move(data), false};
      } else {
        store(**node, off, data.text());
      }
    }
    done(size);
  }

  Status flush(const Caller& caller, Ino ino, Handle, uint64_t owner) override {
    std::unique_lock lock(mutex_);
    auto node = TRY(find(ino));
    drop_locks(ino, owner, false, lock);
    if (node->name.starts_with("stuck")) {
      Result<BufferChain> waited = wait_interrupted(caller, lock);
      return fail(waited.error().code);
    }
    return {};
  }

  Status fsync(const Caller&, Ino, Handle, bool) override { return {}; }

  void release(const Caller&, Ino ino, Handle, std::optional<uint64_t> flock_owner) override {
    --open_handles;
    if (!flock_owner) return;
    std::unique_lock lock(mutex_);
    drop_locks(ino, *flock_owner, true, lock);
  }

  Result<OpenReply> opendir(const Caller&, Ino ino, int) override {
    std::lock_guard lock(mutex_);
    TRY(find(ino));
    return handle();
  }

  Status readdir(const Caller&, Ino ino, Handle, uint64_t off, bool plus,
                 const std::function<bool(const DirEntry&)>& sink) override {
    std::lock_guard lock(mutex_);
    auto directory = TRY(find(ino));
    if (off < 1 && !sink({.name = ".", .ino = ino, .type = FileType::directory, .next_offset = 1})) return {};
    if (off < 2 && !sink({.name = "..", .ino = ino, .type = FileType::directory, .next_offset = 2}))
      return {};
    for (auto it = directory->order.upper_bound(off); it != directory->order.end(); ++it) {
      Ino child = directory->names.find(it->second)->second;
      EntryReply reply = entry(child);
      DirEntry listed{.name = it->second, .ino = child, .type = reply.attr.type, .next_offset = it->first};
      if (plus) listed.plus = &reply;
      if (!sink(listed)) break;
    }
    return {};
  }

  Status fsyncdir(const Caller&, Ino, Handle) override { return {}; }
  void releasedir(const Caller&, Ino, Handle) override { --open_handles; }

  Result<StatFs> statfs(const Caller&, Ino) override {
    return StatFs{.total_bytes = 1ULL << 40,
                  .available_bytes = 1ULL << 39,
                  .total_inodes = 1000,
                  .available_inodes = 900};
  }
  Status access(const Caller&, Ino, int) override { return {}; }

  Result<std::string> getxattr(const Caller&, Ino ino, std::string_view name) override {
    std::lock_guard lock(mutex_);
    auto node = TRY(find(ino));
    auto found = node->xattrs.find(name);
    if (found == node->xattrs.end()) return fail(ENODATA);
    return found->second;
  }
  Result<std::vector<std::string>> listxattr(const Caller&, Ino ino) override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, value] : TRY(find(ino))->xattrs) names.push_back(name);
    return names;
  }
  Status setxattr(const Caller&, Ino ino, std::string_view name, std::string_view value,
                  XattrFlags flags) override {
    std::lock_guard lock(mutex_);
    auto node = TRY(find(ino));
    bool exists = node->xattrs.contains(name);
    if (flags.create && exists) return fail(EEXIST);
    if (flags.replace && !exists) return fail(ENODATA);
    node->xattrs[std::string(name)] = value;
    return {};
  }
  Status removexattr(const Caller&, Ino ino, std::string_view name) override {
    std::lock_guard lock(mutex_);
    auto node = TRY(find(ino));
    auto found = node->xattrs.find(name);
    if (found == node->xattrs.end()) return fail(ENODATA);
    node->xattrs.erase(found);
    return {};
  }

  Status fallocate(const Caller&, Ino ino, Handle, int mode, uint64_t off, uint64_t len) override {
    if (mode != 0) return fail(EOPNOTSUPP);
    std::lock_guard lock(mutex_);
    grow(*TRY(find(ino)), off + len);
    return {};
  }

  Result<uint64_t> copy_file_range(const Caller& caller, Ino in, Handle handle, uint64_t in_off, Ino out,
                                   Handle, uint64_t out_off, uint64_t len) override {
    BufferChain chain = TRY(read(caller, in, handle, in_off, static_cast<uint32_t>(len)));
    std::lock_guard lock(mutex_);
    auto node = TRY(find(out));
    for (const Buffer& piece : chain) {
      store(*node, out_off, piece.text());
      out_off += piece.size();
    }
    return total_size(chain);
  }

  Result<uint64_t> lseek(const Caller&, Ino ino, Handle, uint64_t off, int whence) override {
    std::lock_guard lock(mutex_);
    uint64_t length = TRY(find(ino))->attr.length;
    if (off >= length) return fail(ENXIO);
    return whence == SEEK_DATA ? off : length;
  }

  Result<FileLock> getlk(const Caller&, Ino ino, Handle, uint64_t owner, const FileLock& wanted) override {
    std::lock_guard lock(mutex_);
    for (const HeldLock& held : held_) {
      if (conflicts(held, {ino, owner, false, wanted})) return held.lock;
    }
    return FileLock{};
  }

  void setlk(const Caller& caller, Ino ino, Handle, uint64_t owner, const FileLock& lock, bool wait,
             Completion<void> done) override {
    set_lock(caller, {ino, owner, false, lock}, wait, std::move(done));
  }
  void flock(const Caller& caller, Ino ino, Handle, uint64_t owner, LockType type, bool wait,
             Completion<void> done) override {
    set_lock(caller, {ino, owner, true, {.type = type, .start = 0, .end = INT64_MAX}}, wait, std::move(done));
  }

  Result<std::string> ioctl(const Caller&, Ino, Handle, uint32_t command, std::string_view in,
                            uint32_t) override {
    if (command != kEchoIoctl) return fail(ENOTTY);
    return std::string(in.rbegin(), in.rend());
  }
  static constexpr uint32_t kEchoIoctl = 0xc0085501;  // _IOWR('U', 1, 8 bytes): answers the bytes backwards

  void set_notifier(Notifier n) override { notifier = std::move(n); }

 private:
  static constexpr uint64_t kBlock = 1 << 20;

  struct Block {
    Buffer data;          // empty: zeros
    bool shared = false;  // an answer may still be reading it
  };
  struct Node {
    Attr attr;
    std::string name;
    std::string target;
    std::map<std::string, Ino, std::less<>> names;
    std::map<std::string, uint64_t, std::less<>> cookies;
    std::map<uint64_t, std::string> order;
    std::vector<Block> blocks;
    std::map<std::string, std::string, std::less<>> xattrs;
  };
  struct HeldLock {
    Ino ino;
    uint64_t owner;
    bool flock;
    FileLock lock;
  };
  struct Waiter {
    HeldLock wanted;
    Completion<void> done;
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
  };

  static Attr new_attr(const Caller& caller, FileType type, uint32_t mode) {
    Time now = Clock::system().now();
    Attr attr{.type = type,
              .mode = static_cast<uint16_t>(mode & 07777 & ~caller.umask),
              .uid = caller.uid,
              .gid = caller.gid,
              .atime = now,
              .mtime = now,
              .ctime = now,
              .nlink = type == FileType::directory ? 2U : 1U};
    if (type == FileType::directory) attr.length = meta::kDirectoryLength;
    return attr;
  }

  Result<std::shared_ptr<Node>> find(Ino ino) {
    auto found = nodes_.find(ino);
    if (found == nodes_.end()) return fail(ENOENT);
    return found->second;
  }
  EntryReply entry(Ino ino) {
    return {.ino = ino, .attr = nodes_.at(ino)->attr, .entry_ttl = ttl_, .attr_ttl = ttl_};
  }
  AttrReply attr_reply(Ino ino, const Node& node) {
    return {.ino = ino, .attr = node.attr, .attr_ttl = ttl_};
  }
  OpenReply handle() {
    ++open_handles;
    return {.handle = next_handle_++, .keep_cache = true};
  }

  Result<Ino> add(const Caller& caller, Ino parent, std::string_view name, FileType type, uint32_t mode) {
    if (name.size() > 255) return fail(ENAMETOOLONG);
    auto directory = TRY(find(parent));
    if (directory->names.contains(name)) return fail(EEXIST);
    Ino ino = next_ino_++;
    auto node = std::make_shared<Node>();
    node->attr = new_attr(caller, type, mode);
    node->attr.parent = parent;
    node->name = name;
    nodes_[ino] = std::move(node);
    insert(*directory, name, ino);
    if (type == FileType::directory) ++directory->attr.nlink;
    return ino;
  }
  void insert(Node& directory, std::string_view name, Ino ino) {
    directory.names.emplace(name, ino);
    directory.cookies.emplace(name, next_cookie_);
    directory.order.emplace(next_cookie_++, name);
  }
  void erase(Node& directory, std::string_view name) {
    auto cookie = directory.cookies.find(name);
    if (cookie == directory.cookies.end()) return;
    directory.order.erase(cookie->second);
    directory.cookies.erase(cookie);
    directory.names.erase(directory.names.find(name));
  }

  void grow(Node& node, uint64_t length) {
    node.attr.length = std::max(node.attr.length, length);
    node.blocks.resize(std::max<size_t>(node.blocks.size(), (length + kBlock - 1) / kBlock));
  }
  void truncate(Node& node, uint64_t length) {
    if (length < node.attr.length) {
      node.blocks.resize((length + kBlock - 1) / kBlock);
      if (length % kBlock)
        std::memset(writable(node.blocks.back()) + length % kBlock, 0, kBlock - length % kBlock);
    }
    node.attr.length = length;
    grow(node, length);
  }
  std::byte* writable(Block& block) {
    if (block.data.empty() || block.shared) {
      Buffer fresh = Buffer::allocate(kBlock, nullptr);
      std::memcpy(fresh.mutable_data(), (block.data.empty() ? zeros_ : block.data).data(), kBlock);
      block = {std::move(fresh), false};
    }
    return block.data.mutable_data();
  }
  void store(Node& node, uint64_t off, std::string_view data) {
    grow(node, off + data.size());
    while (!data.empty()) {
      size_t length = std::min<size_t>(data.size(), kBlock - off % kBlock);
      std::memcpy(writable(node.blocks[off / kBlock]) + off % kBlock, data.data(), length);
      data.remove_prefix(length);
      off += length;
    }
  }

  Result<BufferChain> wait_interrupted(const Caller& caller, std::unique_lock<std::mutex>& lock) {
    ++blocked_reads;
    std::condition_variable_any never;
    never.wait(lock, caller.interrupt, [] { return false; });
    --blocked_reads;
    ++interrupted;
    return fail(EINTR);
  }

  static bool conflicts(const HeldLock& held, const HeldLock& wanted) {
    return held.ino == wanted.ino && held.owner != wanted.owner && held.flock == wanted.flock &&
           (held.lock.type == LockType::write || wanted.lock.type == LockType::write) &&
           held.lock.start <= wanted.lock.end && wanted.lock.start <= held.lock.end;
  }
  bool blocked(const HeldLock& wanted) {
    return std::any_of(held_.begin(), held_.end(),
                       [&](const HeldLock& held) { return conflicts(held, wanted); });
  }

  void set_lock(const Caller& caller, HeldLock wanted, bool wait, Completion<void> done) {
    std::unique_lock lock(mutex_);
    if (wanted.lock.type == LockType::unlock) {
      drop_locks(wanted.ino, wanted.owner, wanted.flock, lock);
      lock.unlock();
      return done({});
    }
    if (!blocked(wanted)) {
      held_.push_back(wanted);
      lock.unlock();
      return done({});
    }
    if (!wait) {
      lock.unlock();
      return done(fail(EAGAIN));
    }
    auto waiter = std::make_shared<Waiter>();
    waiter->wanted = wanted;
    waiter->done = std::move(done);
    waiting_.push_back(waiter);
    lock.unlock();
    std::weak_ptr<Waiter> weak = waiter;
    waiter->on_stop.emplace(caller.interrupt, [this, weak] {
      std::shared_ptr<Waiter> stopped = weak.lock();
      if (!stopped) return;
      {
        std::lock_guard guard(mutex_);
        if (std::erase(waiting_, stopped) == 0) return;
      }
      ++interrupted;
      stopped->done(fail(EINTR));
    });
  }

  void drop_locks(Ino ino, uint64_t owner, bool flock, std::unique_lock<std::mutex>& lock) {
    std::erase_if(held_, [&](const HeldLock& held) {
      return held.ino == ino && held.owner == owner && held.flock == flock;
    });
    std::list<std::shared_ptr<Waiter>> granted;
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      auto next = std::next(it);
      if (!blocked((*it)->wanted)) {
        held_.push_back((*it)->wanted);
        granted.splice(granted.end(), waiting_, it);
      }
      it = next;
    }
    lock.unlock();
    for (auto& waiter : granted) waiter->done({});
    lock.lock();
  }

  const Duration ttl_;
  std::mutex mutex_;
  std::map<Ino, std::shared_ptr<Node>> nodes_;
  Buffer zeros_ = [] {
    Buffer buffer = Buffer::allocate(kBlock, nullptr);
    std::memset(buffer.mutable_data(), 0, kBlock);
    return buffer;
  }();
  Ino next_ino_ = 2;
  Handle next_handle_ = 1;
  uint64_t next_cookie_ = 3;
  std::list<HeldLock> held_;
  std::list<std::shared_ptr<Waiter>> waiting_;
};

}  // namespace cider::fuse::testing
