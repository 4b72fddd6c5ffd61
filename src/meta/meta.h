// Metadata of one mounted volume, as vfs/ sees it: names, attributes, slices, locks, sessions. Every
// file-system operation is here once, in ops/<operation>.cc, written against the Transaction seam; which
// engine is behind it makes no difference.
//
// Thread-safe. Calls block on the engine. Errors are errnos as Linux would give them; EIO where a record does
// not decode.
#pragma once

#include <fcntl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/caller.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/slow_lock.h"
#include "meta/acl_cache.h"
#include "meta/id_range.h"
#include "meta/model/acl.h"
#include "meta/model/attr.h"
#include "meta/model/locks.h"
#include "meta/model/session.h"
#include "meta/model/volume.h"
#include "meta/open_files.h"
#include "meta/own_session.h"
#include "meta/store/store.h"

namespace cider::meta {

class LateReleases;
class LockWaiters;
class Jobs;
struct Aftermath;
struct OpEnv;

enum class AtimeMode { noatime, relatime, strictatime };

struct MetaOptions {
  bool read_only = false;
  AtimeMode atime = AtimeMode::noatime;
  std::chrono::milliseconds skip_dir_mtime{0};  // a directory's times are not moved again within this time
  std::chrono::seconds heartbeat{12};
  bool background_jobs = true;  // the shared ones: trash, deleted files, stale sessions
  int max_deletes = 10;         // threads that delete objects; 0: never delete
  // Files may have capabilities, the xattr security.capability: then a change of their data or owner takes
  // it.
  bool file_capabilities = false;
  SessionInfo session;
};

// What metadata asks of the data path, so that jobs can delete and rewrite blocks. Thread-safe; may be called
// until stop().
struct DataCallbacks {
  std::function<Status(uint64_t slice_id, uint32_t size)> delete_slice;
  // The bytes of `parts` (holes as zeros) as a new slice: its id and size.
  std::function<Result<Slice>(std::span<const Slice> parts)> rewrite;
  // A chunk's records were changed by a job.
  std::function<void(Ino ino, uint32_t index)> chunk_changed;
  // Calls `sync`, which makes all records durable, after the blocks that they name are.
  std::function<Status(const std::function<Status()>& sync)> sync_with;
};

struct Node {
  Ino ino = 0;
  Attr attr;
};

struct NewNode {
  FileType type = FileType::file;
  uint16_t mode = 0;  // 07777; the caller's umask is applied here, or the parent's default ACL
  uint32_t rdev = 0;
  std::string_view target;  // of a symlink
};

// Which attributes to set. Size is not among them: see truncate.
struct AttrChange {
  std::optional<uint16_t> mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<Time> atime;
  std::optional<Time> mtime;
  std::optional<Time> ctime;
  bool atime_now = false;
  bool mtime_now = false;
  bool kill_suidgid = false;
};

// The directories whose entries an operation changed, as its commit left them, so that nobody has to ask for
// them again. An engine that cannot tell leaves `attr` empty.
struct ChangedDirs {
  struct Dir {
    Ino ino = 0;
    std::optional<Attr> attr;
  };
  std::array<Dir, 2> dirs;  // a rename has two
  size_t count = 0;

  Dir& add(Ino ino) { return dirs.at(count++) = Dir{ino, {}}; }
  std::optional<Attr> attr(Ino ino) const {
    for (size_t i = 0; i < count; ++i) {
      if (dirs[i].ino == ino) return dirs[i].attr;
    }
    return std::nullopt;
  }
};

inline constexpr uint32_t kRenameNoReplace = 1;
inline constexpr uint32_t kRenameExchange = 2;
inline constexpr uint32_t kRenameWhiteout = 4;
inline constexpr uint32_t kRenameRestore = 1
                                           << 5;  // out of the trash, into a folder that may be trash itself

struct Renamed {
  Node moved;
  Ino replaced = 0;  // the inode whose name was taken over or exchanged, 0 if none
};

// A slice to append, with its chunk.
struct ChunkSlice {
  uint32_t index = 0;
  Slice slice;
};

struct Written {
  Attr attr;             // after the commit
  Attr before;           // as the commit found the file: tells whether somebody else changed it
  uint32_t records = 0;  // in the longest of the chunks written
  uint32_t longest_chunk = 0;
};

// One file's part of a pack: of a slice that several files share, each a range of it.
struct PackMember {
  Ino ino = 0;
  uint32_t index = 0;
  Slice slice;  // all members name the same id and size
  Time mtime;
};

struct Pack {
  std::vector<PackMember> members;
  // Kept by commit_pack(): the members that were in each of the tries so far whose outcome was not known.
  std::vector<bool> tried;
};

enum class XattrMode { set, create, replace };
enum class AclKind { access, default_ };

struct VolumeUsage {
  uint64_t total_space = 0;
  uint64_t available_space = 0;
  uint64_t used_inodes = 0;
  uint64_t available_inodes = 0;
};

class Meta {
 public:
  Meta(std::unique_ptr<Store> store, Volume volume, MetaOptions options,
       const Clock& clock = Clock::system());
  ~Meta();  // after stop()

  // Registers the session (unless read-only) and starts heartbeat and jobs.
  Status start(DataCallbacks data);
  // Stops jobs, waits for deletions under way, releases locks and removes the session.
  void stop();

  Store& store() { return *store_; }
  const MetaOptions& options() const { return options_; }
  std::shared_ptr<const Volume> volume() const;
  // Another one than before: others took this client for dead and cleaned up its session, with the locks and
  // the unlinked open files it held. 0 without a session (read-only).
  uint64_t session_id() const { return session_.id(); }
  // Called after a heartbeat found a changed setting.
  void on_volume_change(std::function<void(const Volume&)> callback);

  // --- names. `dirs` gets the directories that changed.
  Result<Node> lookup(const Caller& caller, Ino parent, std::string_view name);
  Result<Node> mknod(const Caller& caller, Ino parent, std::string_view name, const NewNode& node,
                     ChangedDirs* dirs = nullptr);
  // As mknod of a file, but opens an existing file with `flags` unless `exclusive`; the inode counts as open.
  // `created` tells.
  Result<Node> create(const Caller& caller, Ino parent, std::string_view name, uint16_t mode, bool exclusive,
                      bool* created, int flags = O_RDWR, ChangedDirs* dirs = nullptr);
  // A file without a name, open; link() may give it one.
  Result<Node> tmpfile(const Caller& caller, Ino parent, uint16_t mode);
  Result<Node> link(const Caller& caller, Ino ino, Ino parent, std::string_view name,
                    ChangedDirs* dirs = nullptr);
  // Answers the inode that lost a name. skip_trash: delete although there is a trash.
  Result<Ino> unlink(const Caller& caller, Ino parent, std::string_view name, bool skip_trash = false,
                     ChangedDirs* dirs = nullptr);
  Result<Ino> rmdir(const Caller& caller, Ino parent, std::string_view name, bool skip_trash = false,
                    ChangedDirs* dirs = nullptr);
  Result<Renamed> rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                         std::string_view new_name, uint32_t flags, ChangedDirs* dirs = nullptr);
  Result<std::string> readlink(const Caller& caller, Ino ino);
  // EINTR if `stop` is requested while the engine is away; the cursor moves only with success.
  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            const std::stop_token& stop = {});
  // The parents of an inode and how often each holds it.
  Result<std::map<Ino, uint32_t>> parents(Ino ino);
  // Paths by which the inode is reached from the root, "/a/b"; several for hard links.
  Result<std::vector<std::string>> paths(Ino ino);
  // Resolves a path from `root`, without following symlinks.
  Result<Node> resolve(const Caller& caller, Ino root, std::string_view path);

  // --- attributes
  // EINTR if `stop` is requested while the engine is away.
  Result<Attr> getattr(Ino ino, const std::stop_token& stop = {});
  // The same, but perhaps as it was a moment ago: see Store::read_recent(). lookup() and access() are content
  // with that, too; open() is not.
  Result<Attr> recent_attr(Ino ino, const std::stop_token& stop = {});
  Result<Attr> setattr(const Caller& caller, Ino ino, const AttrChange& change);
  // kFlagImmutable, kFlagAppend, kFlagSkipTrash; only root may.
  Result<Attr> set_flags(const Caller& caller, Ino ino, uint8_t flags);
  Status access(const Caller& caller, Ino ino, int mask);
  // Moves atime as the mode says; cheap when it need not move.
  Status touch_atime(Ino ino, const Attr& known);
  Result<std::string> getxattr(const Caller& caller, Ino ino, std::string_view name);
  Result<std::vector<std::string>> listxattr(const Caller& caller, Ino ino);
  Status setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value,
                  XattrMode mode);
  Status removexattr(const Caller& caller, Ino ino, std::string_view name);
  // Before a write to a file that may have capabilities. Truncate, fallocate, copies and chown do it
  // themselves.
  Status remove_capability(Ino ino);
  Result<AclRule> get_acl(Ino ino, AclKind kind);  // ENODATA without one
  Status set_acl(const Caller& caller, Ino ino, AclKind kind, const AclRule& rule,
                 bool kill_sgid);  // empty rule: remove

  // --- open files
  // Checks flags and permission; the inode counts as open until close().
  Result<Attr> open(const Caller& caller, Ino ino, int flags);
  void close(Ino ino);

  // --- data
  Result<uint64_t> next_slice_id() { return slice_ids_.next(); }
  // EINTR if `stop` is requested while the engine is away.
  Result<std::vector<Slice>> chunk(Ino ino, uint32_t index, const std::stop_token& stop = {});
  // Of several inodes, in one flight; what is not there or not readable is empty.
  Result<std::vector<std::vector<Slice>>> chunks(std::span<const Ino> inos, uint32_t index);
  Result<Written> write(Ino ino, std::span<const ChunkSlice> slices, Time mtime);
  // Makes all members part of their files, and the slice's count their number, in one commit, or none of
  // them. Each member's own result: one that is refused (ENOENT, ENOSPC ...) is left out, and the others are
  // committed without it; EOPNOTSUPP where the file may share no slice. After an error that leaves it open
  // whether this commit was made, the same pack is committed again, and made part of its files once; what
  // cannot be told any more is EIO. EOPNOTSUPP for the whole where the volume can have no packs. EEXIST where
  // the slice's number is in use.
  static constexpr size_t kMostPackMembers = 256;
  Result<std::vector<Result<Written>>> commit_pack(Pack* pack);
  // by_handle: through an open file, so that permission is not asked again.
  Result<Attr> truncate(const Caller& caller, Ino ino, uint64_t length, bool by_handle, bool kill_suidgid);
  Result<Attr> fallocate(const Caller& caller, Ino ino, int mode, uint64_t off, uint64_t len);
  struct Copied {
    uint64_t bytes = 0;
    Attr out;
  };
  Result<Copied> copy_range(const Caller& caller, Ino in, uint64_t in_off, Ino out, uint64_t out_off,
                            uint64_t len);
  // SEEK_DATA / SEEK_HOLE by the slice records; `length` is the caller's view of the file's length.
  Result<uint64_t> seek(Ino ino, uint64_t off, bool data, uint64_t length);
  // Rewrites a chunk of many records as few. `force`: even where it hardly pays.
  Status compact(Ino ino, uint32_t index, bool force);

  // --- locks. Completion may come from any thread, exactly once.
  using Done = std::move_only_function<void(Status)>;
  void flock(const Caller& caller, Ino ino, uint64_t owner, LockKind kind, bool wait, Done done);
  void setlk(const Caller& caller, Ino ino, uint64_t owner, const PlockRange& range, bool wait, Done done);
  // Whether a lock on this open file was lost with the session under which it was taken. Until its last close
  // nothing more that was written to it is committed.
  bool has_lost_locks(Ino ino) const { return open_files_.has_lost_locks(ino, session_id()); }
  Result<PlockRange> getlk(Ino ino, uint64_t owner, const PlockRange& range);

  // --- the volume
  Result<VolumeUsage> usage();
  // Removes a tree, entry by entry; `skip_trash` deletes for good. Adds to *removed while it goes on.
  Status remove_tree(const Caller& caller, Ino parent, std::string_view name, bool skip_trash,
                     std::atomic<uint64_t>* removed);

  // --- what gc corrects
  // The chunks and delayed slices that name a slice: what a scan has found.
  struct SliceUses {
    uint64_t id = 0;
    uint32_t size = 0;
    std::vector<std::pair<Ino, uint32_t>> chunks;
    std::vector<DelayedRow> delayed;
  };
  struct CheckedCount {
    std::optional<int64_t> refs;  // as it was found, counted as SQL does
    int64_t records = 0;          // that name the slice
    int64_t added = 0;            // to the count
  };
  // Counts the records of these chunks and delayed slices anew. A count that is smaller is raised to their
  // number; one that is larger is lowered by `most_lowered` at most.
  Result<CheckedCount> mend_count(const SliceUses& uses, int64_t most_lowered);

  // One file's record of a slice of which few bytes are in use.
  struct SparseRecord {
    Ino ino = 0;
    uint32_t index = 0;
    Slice slice;
  };
  // Copies what these records show, each of another file, into one new slice, and lets them name that.
  // Answers how many do; the others have changed meanwhile. The old slices lose these references
  // kDelayedGrace later.
  Result<size_t> repack(std::span<const SparseRecord> records);
  // For so long at least the objects of replaced slices stay, so that readers find what they have looked up.
  static constexpr int64_t kDelayedGrace = 3600;

  // --- one-off runs of what the jobs do, for tools and tests
  Status clean_stale_sessions();
  // Those deleted longer than `grace` seconds ago. One hour, as JuiceFS: whoever deleted a file is given the
  // time to remove its data itself.
  Status delete_files_now(size_t limit, int64_t grace = 3600);
  Status clean_trash(Time before);
  Status clean_delayed_slices(Time before);
  Status clean_unreferenced_slices();

 private:
  friend class Jobs;
  friend class LockWaiters;

  // Whether an operation may move something to the trash.
  enum class Trash { unused, needed };
  // Runs an operation with fresh inputs per attempt; fetches ACL rules it lacks. See ops/env.h.
  Status run(const Caller& caller, FunctionRef<Status(Transaction&, OpEnv&)> operation,
             Trash trash = Trash::unused, ChangedDirs* dirs = nullptr);
  // Runs `make` with a new inode number, and with another one where it turns out to be taken.
  Status with_new_inode(const Caller& caller, FunctionRef<Status(Ino)> make);
  Result<Node> resolve_by_steps(const Caller& caller, Ino root, std::span<const std::string> names);
  Status access(const Caller& caller, const Attr& attr, int mask);
  // Evaluates a check that needs no transaction, with the ACL rules that it asks for.
  Status evaluate(const Caller& caller, FunctionRef<Status(OpEnv&)> check);
  // Gets what an operation failed for the lack of (an ACL rule, a rule's id); the error itself where it was
  // another.
  Status provide(const OpEnv& env, Error error);
  // This hour's folder in the trash, made if need be; 0 where nothing goes to the trash.
  Result<Ino> trash_folder(const std::stop_token& stop);
  Result<Ino> make_trash_folder(const std::string& name, const std::stop_token& stop);
  Status empty_trash_folder(Ino folder);
  void forget_trash_folder();
  // Does what is left to do after an inode lost a name.
  void settle(const Aftermath& after);
  // A file's last name and handle are gone and its data may go: starts deletion in the background.
  void file_deleted(Ino ino, uint64_t length);
  // A session no longer keeps an unlinked file, because: its last handle was closed; the session ends; it is
  // dead (asked again in the same commit). The file goes unless it has a name or another keeper.
  enum class Keeper { closed, leaving, dead };
  Status delete_sustained(uint64_t sid, Ino ino, Keeper keeper);
  Result<std::vector<Result<Written>>> results_of_earlier_try(const Pack& pack, bool* any);
  Status delete_files_data(std::span<const DeletedFile> files);
  void delete_unreferenced(const std::set<std::pair<uint64_t, uint32_t>>& slices);
  Status delete_if_unreferenced(const std::vector<std::pair<uint64_t, uint32_t>>& slices);
  Status check_writable() const;
  // Runs `release`, later again if it fails, and lets those try who wait for a lock on the inode.
  Status release_lock(Ino ino, OpenFiles::LockOwner owner, const std::function<Status()>& release);

  const std::unique_ptr<Store> store_;
  const MetaOptions options_;
  const Clock& clock_;
  mutable std::mutex volume_mutex_;
  std::shared_ptr<const Volume> volume_;
  AclCache acls_;
  IdRange inode_ids_;
  IdRange slice_ids_;
  OpenFiles open_files_;
  OwnSession session_;
  SlowLock trash_lock_;
  std::string trash_name_;
  Ino trash_ino_ = 0;
  DataCallbacks data_;
  std::unique_ptr<LateReleases> late_releases_;
  std::unique_ptr<LockWaiters> lock_waiters_;
  std::unique_ptr<Jobs> jobs_;
};

// --- volumes, without mounting them (ops/volume.cc)

// Loads and checks the setting: ENOENT where the database holds no volume, EPERM where this client's version
// may not use it.
Result<Volume> load_volume(Store& store);
// Makes a new volume; sets its UUID and versions. EEXIST if there is one.
Status format_volume(Store& store, Volume* volume, const Clock& clock = Clock::system());

}  // namespace cider::meta
