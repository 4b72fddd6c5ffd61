// What an operation asks an engine for. Each item is a question with its answer, and at the same time a
// predicate: the commit holds only if asking again would give the same answer (for attributes: the same in
// the fields of `depends`). Items marked "not checked" never fail a commit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "meta/model/attr.h"
#include "meta/model/entry.h"
#include "meta/model/locks.h"

namespace cider::meta {

// A set of attribute fields.
using Fields = uint32_t;
namespace field {
inline constexpr Fields type = 1 << 0;
inline constexpr Fields mode = 1 << 1;
inline constexpr Fields uid = 1 << 2;
inline constexpr Fields gid = 1 << 3;
inline constexpr Fields flags = 1 << 4;
inline constexpr Fields parent = 1 << 5;
inline constexpr Fields nlink = 1 << 6;
inline constexpr Fields length = 1 << 7;
inline constexpr Fields rdev = 1 << 8;
inline constexpr Fields acl = 1 << 9;  // both ids
inline constexpr Fields tier = 1 << 10;
inline constexpr Fields atime = 1 << 11;
inline constexpr Fields mtime = 1 << 12;
inline constexpr Fields ctime = 1 << 13;
inline constexpr Fields none = 0;  // only that the inode exists (or not)
inline constexpr Fields access =
    type | mode | uid | gid | flags | acl | parent;  // what decides about permission
inline constexpr Fields all = (1 << 14) - 1;
}  // namespace field

bool same_fields(const Attr& a, const Attr& b, Fields fields);
void copy_fields(Attr* to, const Attr& from, Fields fields);

struct AttrRead {
  Ino ino = 0;
  Fields depends = field::all;
  std::optional<Attr> value;
  // Fields that decide nothing, but whose values the caller is told: an engine must not take these from
  // memory without checking them.
  Fields answered = field::none;
};

struct EntryRead {
  Ino parent = 0;
  std::string name;
  std::optional<Entry> value;
  bool absence_expected = false;  // engines whose commit checks it anyway need not ask before
};

// An entry and the attributes of what it points to, as one step. `attr` is empty where the entry dangles.
struct LookupRead {
  Ino parent = 0;
  std::string name;
  Fields depends = field::all;
  std::optional<Entry> value;
  std::optional<Attr> attr;
  Fields answered = field::none;  // as in AttrRead
  bool absence_expected = false;  // as in EntryRead
};

// The entries along a path from a directory on, as far as they are there. Not checked.
struct PathRead {
  Ino root = 0;
  std::vector<std::string> names;
  std::vector<LookupRead> found;
};

struct DirEmptyRead {
  Ino ino = 0;
  bool empty = false;
};

struct SymlinkRead {
  Ino ino = 0;
  std::optional<std::string> target;
};

struct XattrRead {
  Ino ino = 0;
  std::string name;
  std::optional<std::string> value;
};

struct XattrNamesRead {  // not checked
  Ino ino = 0;
  std::vector<std::string> names;
};

// The slice list of a chunk, as bytes; empty: no record. With `most`, its first so many records alone. The
// commit holds if asking again gives what begins with these bytes (`prefix`), or is equal to them.
struct ChunkRead {
  Ino ino = 0;
  uint32_t index = 0;
  bool prefix = false;
  std::string records;
  uint32_t most = 0;  // 0: all
};

// All chunks of a file with first <= index <= last that have a record. Checked as equal.
struct ChunkRangeRead {
  Ino ino = 0;
  uint32_t first = 0;
  uint32_t last = 0;
  std::map<uint32_t, std::string> chunks;
};

// In how many directories, and how often, an inode is linked (its attr.parent is 0).
struct ParentsRead {
  Ino ino = 0;
  std::map<Ino, uint32_t> parents;
};

// References that a slice has; nullopt: no record (Redis, KV: one reference; SQL: none). The commit holds if
// it still is `alive`; with `exact`, if it still is this number.
struct SliceRefRead {
  uint64_t id = 0;
  uint32_t size = 0;
  std::optional<int64_t> refs;  // counted as SQL does: 1 = one reference
  bool exact = false;
  bool alive() const { return refs && *refs > 0; }
};

struct FlocksRead {
  Ino ino = 0;
  std::vector<Flock> table;
};

struct PlocksRead {
  Ino ino = 0;
  std::vector<Plock> table;
};

// Whom each waiting holder waits for, over all clients that record it: the edges of the deadlock graph. Not
// checked.
struct LockWait {
  LockHolder waiter;
  Ino ino = 0;
  PlockRange range;
  bool operator==(const LockWait&) const = default;
};
struct LockWaitsRead {
  std::vector<LockWait> waits;
};

// Everything that a session's locks and waits touch is needed to find a deadlock: all record locks of one
// holder. Not checked.
struct HolderLocksRead {
  LockHolder holder;
  std::vector<Ino> inodes;
};

struct SessionRead {  // checked: exists or not; with `exact` also its expiry
  uint64_t sid = 0;
  bool exact = false;
  std::optional<int64_t> expire;
};

// Sessions that keep an unlinked inode alive.
struct SustainedRead {
  Ino ino = 0;
  std::vector<uint64_t> sids;
};

struct UsageRead {  // not checked
  int64_t space = 0;
  int64_t inodes = 0;
};

struct DirStat {
  int64_t length = 0;
  int64_t space = 0;
  int64_t inodes = 0;
  bool operator==(const DirStat&) const = default;
};
struct DirStatRead {  // not checked
  Ino ino = 0;
  std::optional<DirStat> stat;
};

struct DelayedSlicesRead {
  uint64_t id = 0;
  int64_t deleted = 0;  // part of the key in Redis
  std::optional<std::string> records;
};

using ReadItem = std::variant<AttrRead, EntryRead, LookupRead, PathRead, DirEmptyRead, SymlinkRead, XattrRead,
                              XattrNamesRead, ChunkRead, ChunkRangeRead, ParentsRead, SliceRefRead,
                              FlocksRead, PlocksRead, LockWaitsRead, HolderLocksRead, SessionRead,
                              SustainedRead, UsageRead, DirStatRead, DelayedSlicesRead>;

// Whether a commit that depended on `seen` may go ahead although asking now gives `now` (the same question).
bool still_holds(const ReadItem& seen, const ReadItem& now);

}  // namespace cider::meta
