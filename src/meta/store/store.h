// A metadata engine: maps typed records to its layout and runs operations as transactions. Knows nothing of
// POSIX.
//
// Thread-safe. Errors: EIO where a stored record does not decode (the message names it), ETIMEDOUT / EINTR
// for waits that ended, EROFS for a read-only database, and what an operation itself answered.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/model/acl.h"
#include "meta/model/attr.h"
#include "meta/model/entry.h"
#include "meta/model/slices.h"
#include "meta/store/transaction.h"

namespace cider::meta {

using Operation = FunctionRef<Status(Transaction&)>;

// Counters of the volume, as the format names them.
enum class Counter {
  next_inode,
  next_chunk,
  next_session,
  next_trash,
  used_space,
  total_inodes,
  last_cleanup_sessions,
  last_cleanup_files,
  last_cleanup_trash,
  next_cleanup_slices,
};
std::string_view counter_name(Counter counter);  // "nextInode" ... (SQL, KV; Redis lower-cases three of them)

struct SessionRecord {
  uint64_t sid = 0;
  int64_t expire = 0;  // unix seconds
  std::string info;    // JSON
};

struct ListedEntry {
  std::string name;
  Entry entry;
  std::optional<Attr> attr;  // with attributes wanted, and the inode there
};

// Where a listing stands: opaque to the caller, of bounded size. A listing shows every entry that stays
// during it exactly once, and ends even while others add entries.
struct DirCursor {
  std::string position;  // empty: at the beginning
  uint64_t bound = 0;    // the engine's own
  std::shared_ptr<void> state;
  bool at_end = false;
};

struct DeletedFile {
  Ino ino = 0;
  uint64_t length = 0;
  int64_t deleted = 0;
};

// Slices that a compaction replaced, kept under the new slice's id for the trash days.
struct DelayedRow {
  uint64_t id = 0;
  int64_t deleted = 0;  // unix seconds
  bool operator==(const DelayedRow&) const = default;
};

// Where a scan of a whole table stands: opaque to the caller, of bounded size.
struct TableCursor {
  std::pair<uint64_t, uint64_t> after;  // the key that was shown last
  std::shared_ptr<void> state;          // the engine's own
  bool begun = false;
  bool at_end = false;
};

struct ChunkRow {
  Ino ino = 0;
  uint32_t index = 0;
  std::string records;  // as in ChunkRead
};

struct SliceCount {
  uint64_t id = 0;
  uint32_t size = 0;
  int64_t refs = 0;  // counted as SQL does: 1 = one reference
};

struct DelayedList {
  DelayedRow row;
  std::vector<DelayedSlice> slices;
};

struct RecordLockOwner {  // for `status --session`
  Ino ino = 0;
  LockHolder holder;
  bool is_flock = false;
  LockKind kind = LockKind::read;  // flock
  std::vector<PlockRange> ranges;  // fcntl
};

// `stop`: EINTR if it is requested while the engine is away.
class Store {
 public:
  virtual ~Store() = default;

  virtual std::string name() const = 0;      // "sqlite3", "memory"
  virtual std::string describe() const = 0;  // for people, without secrets: "sqlite3:///var/meta.db"

  // --- the volume
  // The setting's JSON; nullopt where the database holds no volume. EINVAL where it holds something foreign.
  virtual Result<std::optional<std::string>> load_setting() = 0;
  // Makes the tables, counters, root and (where given) trash root of a new volume. EEXIST if there is a
  // volume.
  virtual Status create_volume(std::string_view setting, const Attr& root,
                               const std::optional<Attr>& trash) = 0;
  virtual Status save_setting(std::string_view setting) = 0;
  // Removes the volume and everything that we ever kept in the database.
  virtual Status destroy_volume() = 0;

  // Another number than before: the engine may have lost what it had acknowledged, so that numbers and ACL
  // ids that this client was given may be given again, and its locks be gone.
  virtual uint64_t incarnation() const { return 0; }

  // Whether JuiceFS has set quotas of directories, users or groups.
  virtual Result<bool> has_quotas() { return false; }

  // --- transactions
  // Runs `operation` until its writes are committed while its read set holds, or it answers an error that its
  // read set bears out. Writes nothing when it answers an error. EINTR if `stop` is requested before it was
  // begun.
  virtual Status run(Operation operation, std::stop_token stop) = 0;
  // Runs an operation that only reads. Each fetch() is answered at one instant, without hints. EINTR if
  // `stop` is requested while the engine is away.
  virtual Status read(Operation operation, std::stop_token stop) = 0;
  // The same for those who may be told what was true a moment ago: before changes by others of which the word
  // is on its way. Never older than what this client was told before but in listings, or has committed.
  virtual Status read_recent(Operation operation, std::stop_token stop) {
    return read(operation, std::move(stop));
  }
  // Everything committed before survives a power loss after this.
  virtual Status sync() = 0;
  // How many records - slices, chunks, files - one operation may read and change at most, so that a commit
  // stays within what the engine takes, and nobody else waits long for it. What is more goes by several
  // commits.
  virtual size_t records_per_commit() const { return 500; }

  // --- counters
  virtual Result<int64_t> counter(Counter counter) = 0;
  // Adds and answers the new value, for next_inode and next_chunk as "first free id": a client owns
  // [answer-delta, answer).
  virtual Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token stop = {}) = 0;
  // The highest number in use that the counter (next_inode or next_chunk) gives out, where that is cheap to
  // tell; else 0.
  virtual Result<uint64_t> highest_id(Counter) { return 0; }
  // Sets the counter to `value` if it is below value-diff; whether it was: "who does the job this period".
  virtual Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) = 0;

  // --- ACL rules, immutable by id
  virtual Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token stop = {}) = 0;
  // A new id; a duplicate is harmless.
  virtual Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token stop = {}) = 0;

  // --- listings
  // The cursor moves only with success.
  virtual Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                                    std::stop_token stop = {}) = 0;

  // --- sessions
  virtual Status put_session(const SessionRecord& session, std::stop_token stop = {}) = 0;
  // Moves the expiry of a live session; ENOENT when it was cleaned up.
  virtual Status refresh_session(uint64_t sid, int64_t expire, std::stop_token stop = {}) = 0;
  virtual Result<std::vector<SessionRecord>> list_sessions() = 0;
  // No other client can be there now: the database serves one at a time.
  virtual bool is_alone() const { return false; }
  virtual Result<std::vector<Ino>> sustained_inodes(uint64_t sid) = 0;
  virtual Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) = 0;
  // Adds to the counters of usage what clients that are gone have committed and not counted: those that had a
  // session, and now there is none; where there was none it may be done for living ones, too. Each change is
  // counted once, whoever calls this, however often. Nothing to do where commits write the counters. `now`:
  // unix seconds.
  virtual Status count_left_usage(int64_t) { return {}; }

  // --- work for background jobs; each in batches of at most `limit`
  virtual Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) = 0;
  // The chunks of a file that have a record; engines without an index look within its length and a little
  // beyond.
  virtual Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t length) = 0;
  // Those of the files that have any; perhaps others too, where that is no cheaper to tell than chunks_of().
  virtual Result<std::vector<DeletedFile>> files_with_chunks(std::span<const DeletedFile> files) {
    return std::vector(files.begin(), files.end());
  }
  virtual Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) = 0;
  // What an engine needs besides: once an hour, by one client of the volume.
  virtual Status housekeeping() { return {}; }
  virtual Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) = 0;

  // --- scans of whole tables, page by page, for the collection of garbage. A row that is there from the
  // beginning of a scan to its end is shown: once, by Redis perhaps more often. One that comes or changes
  // meanwhile may be missed, and what moves from a row to another may be missed in both. A page has about
  // `limit` rows at most; an empty one is no end, at_end is. No page keeps the engine from its other work for
  // long. The cursor moves only with success.
  virtual Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) = 0;
  virtual Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) = 0;
  // How many references a slice has of which no count is stored.
  virtual int64_t uncounted_refs() const { return 0; }
  virtual Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) = 0;
  virtual Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) = 0;
};

}  // namespace cider::meta
