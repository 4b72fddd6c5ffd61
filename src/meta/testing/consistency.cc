#include "meta/testing/consistency.h"

#include <algorithm>

namespace cider::meta::testing {
namespace {

class Checker {
 public:
  explicit Checker(const VolumeDump& volume) : v_(volume) {}

  std::vector<std::string> run() {
    check_entries();
    check_ancestors();
    check_links();
    check_usage();
    check_dir_stats();
    check_slices();
    check_leftovers();
    return std::move(problems_);
  }

 private:
  using Holders = std::map<Ino, uint32_t>;

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  static std::string number(uint64_t n) { return std::to_string(n); }
  const Attr* node(Ino ino) const {
    auto it = v_.nodes.find(ino);
    return it == v_.nodes.end() ? nullptr : &it->second;
  }

  void check_entries() {
    for (const auto& e : v_.entries) {
      std::string where = "entry '" + e.name + "' of directory " + number(e.parent);
      const Attr* dir = node(e.parent);
      if (!dir || !dir->is_dir()) problem(where + ": no such directory");
      const Attr* attr = node(e.entry.ino);
      if (!attr) {
        problem(where + ": inode " + number(e.entry.ino) + " is missing");
      } else if (attr->type != e.entry.type) {
        problem(where + ": type differs from that of inode " + number(e.entry.ino));
      }
      ++holders_[e.entry.ino][e.parent];
      if (e.entry.type == FileType::directory) ++subdirs_[e.parent];
    }
  }

  void check_ancestors() {
    for (const auto& [ino, attr] : v_.nodes) {
      if (!attr.is_dir()) continue;
      Ino at = ino;
      size_t steps = 0;
      while (at != kRootIno && at != kTrashIno && steps <= v_.nodes.size()) {
        const Attr* dir = node(at);
        if (!dir) break;  // its entry is reported
        at = dir->parent;
        ++steps;
      }
      if (steps > v_.nodes.size())
        problem("directory " + number(ino) + " is its own ancestor, or below such a one");
    }
  }

  void check_links() {
    for (const auto& [ino, attr] : v_.nodes) {
      if (ino == kRootIno || ino == kTrashIno) continue;
      const Holders& holders = holders_[ino];
      uint32_t entries = 0;
      for (const auto& [dir, count] : holders) entries += count;
      if (attr.is_dir()) {
        check_dir_links(ino, attr, entries);
      } else {
        check_file_links(ino, attr, holders, entries);
      }
      if (!holders.empty() && attr.parent != 0 &&
          !(holders.size() == 1 && holders.begin()->first == attr.parent)) {
        problem("inode " + number(ino) + " says its parent is " + number(attr.parent) +
                ", which does not hold it alone");
      }
    }
    const Attr* root = node(kRootIno);
    if (!root) return problem("there is no root");
    if (root->nlink != 2 + subdirs_[kRootIno]) {
      problem("the root has nlink " + number(root->nlink) + " and " + number(subdirs_[kRootIno]) +
              " subdirectories");
    }
  }

  void check_dir_links(Ino ino, const Attr& attr, uint32_t entries) {
    if (entries != 1) problem("directory " + number(ino) + " has " + number(entries) + " entries");
    if (!is_trash(ino) && attr.nlink != 2 + subdirs_[ino]) {
      problem("directory " + number(ino) + " has nlink " + number(attr.nlink) + " and " +
              number(subdirs_[ino]) + " subdirectories");
    }
  }

  void check_file_links(Ino ino, const Attr& attr, const Holders& holders, uint32_t entries) {
    if (attr.nlink != entries) {
      problem("inode " + number(ino) + " has nlink " + number(attr.nlink) + " and " + number(entries) +
              " entries");
    }
    auto keeper = v_.sustained.lower_bound({ino, 0});
    bool kept = keeper != v_.sustained.end() && keeper->first == ino;
    if (entries == 0 && !kept) problem("inode " + number(ino) + " has no entry, and no session keeps it");
    if (attr.parent == 0 && entries > 0 && v_.parents) {
      auto map = v_.parents->find(ino);
      if (map == v_.parents->end() || map->second != holders)
        problem("inode " + number(ino) + ": its parent map is wrong");
    }
  }

  void check_usage() {
    int64_t space = 0;
    int64_t inodes = 0;
    for (const auto& [ino, attr] : v_.nodes) {
      if (ino == kRootIno || ino == kTrashIno) continue;
      space += static_cast<int64_t>(space_of(attr));
      ++inodes;
    }
    if (space != v_.used_space)
      problem("used space " + std::to_string(v_.used_space) + ", counted " + std::to_string(space));
    if (inodes != v_.used_inodes) {
      problem("used inodes " + std::to_string(v_.used_inodes) + ", counted " + std::to_string(inodes));
    }
  }

  void check_dir_stats() {
    std::map<Ino, DirStat> counted;
    for (const auto& e : v_.entries) {
      const Attr* attr = node(e.entry.ino);
      if (!attr) continue;
      DirStat& stat = counted[e.parent];
      stat.length += attr->is_file() ? static_cast<int64_t>(attr->length) : 0;
      stat.space += static_cast<int64_t>(space_of(*attr));
      stat.inodes += 1;
    }
    for (const auto& [ino, stat] : v_.dir_stats) {
      const DirStat& real = counted[ino];
      if (stat == real) continue;
      auto text = [](const DirStat& s) {
        return std::to_string(s.length) + " bytes, " + std::to_string(s.space) + " space, " +
               std::to_string(s.inodes) + " inodes";
      };
      problem("statistics of directory " + number(ino) + ": " + text(stat) + "; counted " + text(real));
    }
  }

  void check_slices() {
    std::map<std::pair<uint64_t, uint32_t>, int64_t> counted;
    for (const auto& [key, slices] : v_.chunks) {
      for (const Slice& slice : slices) {
        if (slice.id == 0) continue;
        ++counted[{slice.id, slice.size}];
        if (!v_.refs.contains({slice.id, slice.size})) {
          problem("chunk " + number(key.second) + " of inode " + number(key.first) + " names slice " +
                  number(slice.id) + ", which has no reference");
        }
      }
    }
    for (const DelayedSlice& slice : v_.delayed) ++counted[{slice.id, slice.size}];
    for (const auto& [key, refs] : v_.refs) {
      if (refs != counted[key]) {
        problem("slice " + number(key.first) + " has " + std::to_string(refs) + " references and " +
                std::to_string(counted[key]) + " records");
      }
    }
  }

  void check_leftovers() {
    auto gone = [&](Ino ino, const char* what) {
      if (!node(ino)) problem(std::string(what) + " of inode " + number(ino) + ", which is gone");
    };
    for (const auto& [ino, target] : v_.symlinks) gone(ino, "symlink target");
    for (Ino ino : v_.with_xattrs) gone(ino, "xattr");
    for (const auto& [ino, sid] : v_.sustained) {
      gone(ino, "sustained record");
      if (!v_.sessions.contains(sid))
        problem("inode " + number(ino) + " is kept by session " + number(sid) + ", which is gone");
    }
    for (const auto& [ino, stat] : v_.dir_stats) gone(ino, "directory statistics");
    for (const auto& [key, slices] : v_.chunks) {
      if (!node(key.first) && !v_.deleted_files.contains(key.first))
        problem("chunk " + number(key.second) + " of inode " + number(key.first) + ", which is gone");
    }
    for (Ino ino : v_.deleted_files) {
      if (node(ino)) problem("inode " + number(ino) + " is there, and among the deleted files");
    }
    for (uint64_t sid : v_.lock_sessions) {
      if (!v_.sessions.contains(sid)) problem("locks of session " + number(sid) + ", which is gone");
    }
    for (const auto& [ino, attr] : v_.nodes) {
      if (attr.is_symlink() != v_.symlinks.contains(ino))
        problem("inode " + number(ino) + ": type and symlink target differ");
    }
  }

  const VolumeDump& v_;
  std::map<Ino, Holders> holders_;
  std::map<Ino, uint32_t> subdirs_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> inconsistencies(const VolumeDump& volume) {
  return Checker(volume).run();
}

}  // namespace cider::meta::testing
