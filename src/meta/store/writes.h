// What an operation asks an engine to change. Those marked "commutes" never conflict with each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "meta/model/attr.h"
#include "meta/model/entry.h"
#include "meta/model/locks.h"
#include "meta/store/reads.h"

namespace cider::meta {

// Answers of a commit that never leave meta/. An inode has a number that was given twice:
inline constexpr int kInodeTaken = -4;
// What an earlier run of the operation with these new slices left unclear: it was committed. Nothing was
// written now.
inline constexpr int kCommittedBefore = -5;
// A row of chunks has too many for one commit: the operation is to go on by parts.
inline constexpr int kTooManyChunks = -6;

// A new inode, written only where nothing is: the commit fails with kInodeTaken otherwise.
struct InsertNode {
  Ino ino = 0;
  Attr attr;
};

// Sets the fields of `set` to those of `values`; besides, commuting: adds to nlink, and moves mtime and ctime
// (`touch`) or ctime alone (`touch_ctime`), as far as `set` leaves them, to a time: a nanosecond beyond the
// present ctime where the time is not later than it, so that every change shows; but to the time itself where
// the ctime is over 3 s ahead.
struct PatchNode {
  Ino ino = 0;
  Fields set = 0;
  Attr values;
  int32_t nlink_delta = 0;
  std::optional<Time> touch;
  std::optional<Time> touch_ctime;
  // Gets the inode as the commit left it, unless the engine cannot tell (the answer of a commit was lost).
  // Owned by the operation.
  std::optional<Attr>* after = nullptr;
};

struct DeleteNode {  // with its xattrs, symlink target and parent map
  Ino ino = 0;
};

struct InsertEntry {  // the read set says that it is absent
  Ino parent = 0;
  std::string name;
  Entry entry;
};

struct ReplaceEntry {  // the read set says what is there now; keeps its place in a listing
  Ino parent = 0;
  std::string name;
  Entry old_entry;
  Entry entry;
};

struct DeleteEntry {  // by parent, name and inode
  Ino parent = 0;
  std::string name;
  Entry old_entry;
};

struct SetSymlink {
  Ino ino = 0;
  std::string target;
};

struct SetXattr {
  Ino ino = 0;
  std::string name;
  std::string value;
};

struct RemoveXattr {
  Ino ino = 0;
  std::string name;
};

// Links of an inode per directory, where an engine keeps them apart from the entries (SQL doesn't). Commutes.
struct AddParent {
  Ino ino = 0;
  Ino parent = 0;
  int32_t delta = 0;
};

// Appends 24-byte records to a chunk's list, making it if need be. Commutes. `count` gets the list's new
// number of records.
struct AppendSlices {
  Ino ino = 0;
  uint32_t index = 0;
  std::string records;
  uint32_t* count = nullptr;  // owned by the operation; null: not wanted
};

// Appends a hole over the whole chunk to every chunk with first <= index <= last that has a record. May
// answer kTooManyChunks.
struct HoleOverChunks {
  Ino ino = 0;
  uint32_t first = 0;
  uint32_t last = 0;
};

// A truncate leaves chunks with index < end behind the file's new end, for its deletion to find.
struct LeaveChunks {
  Ino ino = 0;
  uint32_t end = 0;
};
// Replaces the first `prefix.size()` bytes of a chunk's list (which the read set checked) by `records`; what
// was appended since stays behind them. A list that becomes empty goes.
struct ReplaceSlices {
  Ino ino = 0;
  uint32_t index = 0;
  std::string prefix;
  std::string records;
};

struct DeleteChunk {
  Ino ino = 0;
  uint32_t index = 0;
};

struct InsertSliceRef {  // EEXIST where the slice has a count already
  uint64_t id = 0;
  uint32_t size = 0;
  int64_t refs = 1;  // counted as SQL does
  // Stored even where one reference needs no count, so that the slice shows as in use. Redis, KV.
  bool always_stored = false;
};

struct AddSliceRef {  // commutes
  uint64_t id = 0;
  uint32_t size = 0;
  int64_t delta = 0;
};

struct DeleteSliceRef {  // only where the count is <= 0
  uint64_t id = 0;
  uint32_t size = 0;
};

struct PutDelayedSlices {
  uint64_t id = 0;
  int64_t deleted = 0;  // unix seconds
  std::string records;
};

struct DeleteDelayedSlices {
  uint64_t id = 0;
  int64_t deleted = 0;
};

struct PutSustained {
  uint64_t sid = 0;
  Ino ino = 0;
};

struct DeleteSustained {
  uint64_t sid = 0;
  Ino ino = 0;
};

struct PutDeletedFile {
  Ino ino = 0;
  uint64_t length = 0;
  int64_t deleted = 0;  // unix seconds
};

struct DeleteDeletedFile {
  Ino ino = 0;
  uint64_t length = 0;
};

struct PutFlock {
  Ino ino = 0;
  Flock lock;
};

struct DeleteFlock {
  Ino ino = 0;
  LockHolder holder;
};

struct PutPlock {  // no ranges: removes the holder's record
  Ino ino = 0;
  Plock lock;
};

struct PutLockWait {
  LockWait wait;
};

struct DeleteLockWait {
  LockHolder waiter;
};

struct DeleteSession {  // with its locks and waits
  uint64_t sid = 0;
};

struct AddUsage {  // commutes
  int64_t space = 0;
  int64_t inodes = 0;
};

struct CreateDirStat {
  Ino ino = 0;
};

struct AddDirStat {  // commutes; nothing happens where the directory has no row
  Ino ino = 0;
  DirStat delta;
};

struct DeleteDirStat {  // and the directory's quota
  Ino ino = 0;
};

using WriteItem =
    std::variant<InsertNode, PatchNode, DeleteNode, InsertEntry, ReplaceEntry, DeleteEntry, SetSymlink,
                 SetXattr, RemoveXattr, AddParent, AppendSlices, HoleOverChunks, LeaveChunks, ReplaceSlices,
                 DeleteChunk, InsertSliceRef, AddSliceRef, DeleteSliceRef, PutDelayedSlices,
                 DeleteDelayedSlices, PutSustained, DeleteSustained, PutDeletedFile, DeleteDeletedFile,
                 PutFlock, DeleteFlock, PutPlock, PutLockWait, DeleteLockWait, DeleteSession, AddUsage,
                 CreateDirStat, AddDirStat, DeleteDirStat>;

}  // namespace cider::meta
