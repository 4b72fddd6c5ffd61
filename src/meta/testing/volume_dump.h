// Every record of a volume, read past the Store: what tests check for consistency. From the in-memory engine,
// or from a SQLite file that nobody writes at the moment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meta/model/attr.h"
#include "meta/model/entry.h"
#include "meta/model/slices.h"
#include "meta/store/kv/kv.h"
#include "meta/store/memory/memory_store.h"
#include "meta/store/reads.h"

namespace cider::meta::testing {

struct VolumeDump {
  struct DirEntry {
    Ino parent = 0;
    std::string name;
    Entry entry;
  };

  std::map<Ino, Attr> nodes;
  std::vector<DirEntry> entries;
  std::map<Ino, std::string> symlinks;
  std::set<Ino> with_xattrs;
  std::map<std::pair<Ino, uint32_t>, std::vector<Slice>> chunks;
  std::map<std::pair<uint64_t, uint32_t>, int64_t> refs;  // (slice, size): count as SQL has it
  std::vector<DelayedSlice> delayed;
  std::set<std::pair<Ino, uint64_t>> sustained;  // inode, session
  std::set<uint64_t> sessions;
  std::set<Ino> deleted_files;
  std::map<Ino, DirStat> dir_stats;
  std::optional<std::map<Ino, std::map<Ino, uint32_t>>>
      parents;                       // where the engine keeps a parent map of its own
  std::set<uint64_t> lock_sessions;  // that hold or wait for locks
  int64_t used_space = 0;
  int64_t used_inodes = 0;
};

VolumeDump dump_memory(MemoryStore& store);
Result<VolumeDump> dump_sqlite(const std::string& path);
Result<VolumeDump> dump_postgres(const std::string& url);
Result<VolumeDump> dump_mysql(const std::string& url);
Result<VolumeDump> dump_redis(const std::string& url);
Result<VolumeDump> dump_kv(kv::Database& database);

}  // namespace cider::meta::testing
