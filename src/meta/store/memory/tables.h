// The records of a volume as plain containers, and how reads and writes map to them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "meta/store/memory/memory_store.h"

namespace cider::meta {

struct MemoryStore::Tables {
  struct DirRow {
    Entry entry;
    uint64_t id = 0;  // grows with each insert; a listing's bound
  };

  std::optional<std::string> setting;
  std::map<std::string, int64_t, std::less<>> counters;
  std::unordered_map<Ino, Attr> nodes;
  std::map<Ino, std::map<std::string, DirRow, std::less<>>> entries;
  uint64_t last_row_id = 0;
  std::unordered_map<Ino, std::string> symlinks;
  std::map<Ino, std::map<std::string, std::string>> xattrs;
  std::map<Ino, std::map<Ino, uint32_t>> parents;
  std::map<std::pair<Ino, uint32_t>, std::string> chunks;
  std::map<std::pair<uint64_t, uint32_t>, int64_t> refs;
  std::map<uint64_t, std::pair<int64_t, std::string>> delayed;
  std::set<std::pair<Ino, uint64_t>> sustained;  // inode, session
  std::map<Ino, DeletedFile> deleted_files;
  std::map<Ino, std::vector<Flock>> flocks;
  std::map<Ino, std::vector<Plock>> plocks;
  std::map<LockHolder, LockWait> waits;
  std::map<uint64_t, SessionRecord> sessions;
  std::map<Ino, DirStat> dir_stats;
  std::map<uint32_t, AclRule> acls;

  void answer(ReadItem* item) const;
  // Whether the write can be done now; called for all writes of a commit before the first apply().
  Status check(const WriteItem& item) const;
  void apply(const WriteItem& item);
};

}  // namespace cider::meta
