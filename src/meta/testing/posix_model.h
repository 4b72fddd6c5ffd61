// POSIX names, attributes and data as plain containers, one client at a time: what random operations on a
// volume are compared with. Each operation answers the errno (0: done) that Linux would. For tests only.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/caller.h"
#include "meta/meta.h"
#include "meta/testing/fake_data.h"

namespace cider::meta::testing {

constexpr size_t kModelClients = 2;

struct ModelNode {
  FileType type = FileType::file;
  uint16_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t rdev = 0;
  uint8_t flags = 0;
  uint64_t length = 0;
  uint32_t links = 0;        // names in the tree
  uint32_t trash_links = 0;  // and in the trash
  bool shared = false;       // has had several links: the volume no longer knows its parent
  Ino parent = 0;            // of a directory
  std::map<std::string, Ino> entries;
  std::map<std::string, std::string> xattrs;
  std::string target;
  FakeData::Units units;
  std::array<int, kModelClients> opens{};
  std::set<size_t> keepers;  // clients that keep it although it has no name
  Time atime, mtime, ctime;
  bool mtime_moved = false;  // to a time that the model does not know
  bool ctime_moved = false;

  bool is_dir() const { return type == FileType::directory; }
  bool is_file() const { return type == FileType::file; }
  bool trashed() const { return links == 0 && trash_links > 0 && !shared; }
};

class PosixModel {
 public:
  explicit PosixModel(bool trash);

  std::map<Ino, ModelNode>& nodes() { return nodes_; }
  ModelNode* find(Ino ino);
  uint32_t nlink(const ModelNode& node) const;
  // The inode of a name, 0 if there is none.
  Ino at(Ino dir, const std::string& name);

  int lookup(const Caller& c, Ino dir, const std::string& name);
  // `made` is the number that the volume gave.
  int mknod(const Caller& c, Ino dir, const std::string& name, const NewNode& node, Ino made);
  int create(const Caller& c, size_t client, Ino dir, const std::string& name, uint16_t mode, bool exclusive,
             Ino made);
  int tmpfile(const Caller& c, size_t client, Ino dir, uint16_t mode, Ino made);
  int link(const Caller& c, size_t client, Ino ino, Ino dir, const std::string& name);
  int unlink(const Caller& c, size_t client, Ino dir, const std::string& name, bool skip_trash);
  int rmdir(const Caller& c, Ino dir, const std::string& name);
  int rename(const Caller& c, size_t client, Ino from, const std::string& name, Ino to,
             const std::string& new_name, uint32_t flags, Ino whiteout);
  int setattr(const Caller& c, size_t client, Ino ino, const AttrChange& change);
  int set_flags(const Caller& c, Ino ino, uint8_t flags);
  int setxattr(const Caller& c, Ino ino, const std::string& name, const std::string& value, XattrMode mode);
  int removexattr(const Caller& c, Ino ino, const std::string& name);
  int open(const Caller& c, size_t client, Ino ino, int flags);
  void close(size_t client, Ino ino);
  int write(Ino ino, uint64_t off, uint64_t len, uint64_t first_tag, Time mtime);
  int truncate(const Caller& c, size_t client, Ino ino, uint64_t length, bool by_handle, bool kill_suidgid);
  int fallocate(const Caller& c, size_t client, Ino ino, int mode, uint64_t off, uint64_t len);
  int copy_range(const Caller& c, Ino in, uint64_t in_off, Ino out, uint64_t out_off, uint64_t len);

 private:
  bool permits(const Caller& c, const ModelNode& node, int want) const;
  int search(const Caller& c, Ino dir);
  int may_change(const Caller& c, const ModelNode& dir, bool removes) const;
  int may_remove(const Caller& c, const ModelNode& dir, const ModelNode& victim) const;
  ModelNode born(const Caller& c, const ModelNode& dir, const NewNode& node) const;
  void changed(Ino dir);
  void lose_name(Ino ino, Ino dir, const std::string& name, size_t client, bool trash);
  bool is_below(Ino dir, Ino ancestor);

  const bool trash_;
  std::map<Ino, ModelNode> nodes_;
  std::set<std::string> trash_names_;
};

}  // namespace cider::meta::testing
