// Keys of a volume in an ordered-KV engine, without the engine's prefix. Format: JuiceFS 1.4 pkg/meta/tkv.go
// (inodeKey ... krbTokenKey): inode numbers little-endian, which spreads the load, all other numbers
// big-endian.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"
#include "meta/model/locks.h"
#include "meta/store/kv/kv.h"
#include "meta/store/store.h"

namespace cider::meta::kv {

inline constexpr std::string_view kSetting = "setting";
inline constexpr std::string_view kAclMax = "aclMaxId";  // a counter

std::string counter_key(std::string_view name);
std::string inode_key(Ino ino);
std::string entry_key(Ino parent, std::string_view name);
bool is_entry_key(std::string_view key);
std::string parent_key(Ino ino, Ino parent);
std::string chunk_key(Ino ino, uint32_t index);
std::string symlink_key(Ino ino);
std::string xattr_key(Ino ino, std::string_view name);
std::string deleted_file_key(Ino ino, uint64_t length);
std::string flocks_key(Ino ino);
std::string plocks_key(Ino ino);
std::string slice_ref_key(uint64_t id, uint32_t size);
std::string delayed_key(int64_t deleted, uint64_t id);
std::string session_key(uint64_t sid);
std::string session_info_key(uint64_t sid);
std::string sustained_key(uint64_t sid, Ino ino);
std::string dir_stat_key(Ino ino);
std::string dir_quota_key(Ino ino);
std::string acl_key(uint32_t id);

// Ours, with a first letter that JuiceFS passes over (taken too: O, see etcd).
std::string lock_wait_key(const LockHolder& waiter);
std::string total_key(std::string_view client);
std::string counted_key(std::string_view client);

// Everything that begins with these bytes.
Range all_of(std::string_view prefix);
Range entries_of(Ino dir);
Range parents_of(Ino ino);
Range xattrs_of(Ino ino);
Range chunks_of(Ino ino, uint32_t first, uint32_t last);
Range sustained_of(uint64_t sid);
// An inode's parents, symlink target and xattrs, which lie side by side.
Range belongings_of(Ino ino);
inline constexpr std::string_view kInodes = "A";
inline constexpr std::string_view kDeletedFiles = "D";
inline constexpr std::string_view kFlocks = "F";
inline constexpr std::string_view kPlocks = "P";
inline constexpr std::string_view kSliceRefs = "K";
inline constexpr std::string_view kDelayed = "L";
inline constexpr std::string_view kSessions = "SE";
inline constexpr std::string_view kSustained = "SS";
inline constexpr std::string_view kLockWaits = "W";
inline constexpr std::string_view kTallies = "T";
inline constexpr std::string_view kAcls = "R";

// Back: what follows a prefix, if all of the key is of this kind.
struct ChunkKey {
  Ino ino = 0;
  uint32_t index = 0;
};
std::optional<ChunkKey> parse_chunk_key(std::string_view key);
std::optional<DelayedRow> parse_delayed_key(std::string_view key);
struct SliceKey {
  uint64_t id = 0;
  uint32_t size = 0;
};
std::optional<SliceKey> parse_slice_ref_key(std::string_view key);
std::optional<DeletedFile> parse_deleted_file_key(std::string_view key);  // without its time
std::optional<Ino> parse_lock_key(std::string_view key);                  // of flocks and plocks
std::optional<uint64_t> parse_session_key(std::string_view key);
struct SustainedKey {
  uint64_t sid = 0;
  Ino ino = 0;
};
std::optional<SustainedKey> parse_sustained_key(std::string_view key);
std::optional<Ino> parse_parent_key(std::string_view key);  // the parent
std::optional<LockHolder> parse_lock_wait_key(std::string_view key);
struct TallyKey {
  std::string_view client;  // of the key's bytes
  bool is_total = false;    // else: what was counted
};
std::optional<TallyKey> parse_tally_key(std::string_view key);
// Of an entry or xattr.
inline std::string_view name_in(std::string_view key) {
  constexpr size_t kHead = 1 + 8 + 1;
  return key.substr(std::min(key.size(), kHead));
}

}  // namespace cider::meta::kv
