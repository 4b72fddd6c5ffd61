// Names of keys in a volume; keyspace.h makes the server's keys of them. Format: JuiceFS 1.4
// pkg/meta/redis.go (inodeKey ... krbTokenKey).
#pragma once

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"
#include "meta/model/locks.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

inline constexpr std::string_view kSetting = "setting";
inline constexpr std::string_view kSessions = "allSessions";       // zset: sid -> expiry
inline constexpr std::string_view kSessionInfos = "sessionInfos";  // hash: sid -> JSON
inline constexpr std::string_view kDeletedFiles = "delfiles";      // zset: <ino>:<length> -> time
inline constexpr std::string_view kDelayedSlices = "delSlices";    // hash: <id>_<time> -> records
inline constexpr std::string_view kSliceRefs = "sliceRef";         // hash: k<id>_<size> -> references - 1
inline constexpr std::string_view kDirLength = "dirDataLength";    // hashes: ino -> number
inline constexpr std::string_view kDirSpace = "dirUsedSpace";
inline constexpr std::string_view kDirInodes = "dirUsedInodes";
inline constexpr std::string_view kDirQuota = "dirQuota";
inline constexpr std::string_view kUserQuota = "userQuota";
inline constexpr std::string_view kGroupQuota = "groupQuota";
inline constexpr std::string_view kAcls = "acl";  // hash: id -> rule
inline constexpr std::string_view kAclMax = "aclMaxId";
inline constexpr std::string_view kUsedSpace = "usedSpace";
inline constexpr std::string_view kTotalInodes = "totalInodes";

// Ours. JuiceFS's gc, fsck and dump scan c*, d*, i*, k*, s*, x*, p*; a first letter o is passed over.
// hash: ino -> chunks it had; see LeaveChunks. The field of a file that JuiceFS deletes stays: some 20 bytes,
// and no inode gets its number. JuiceFS looks for chunks within the length alone; what lies beyond is left to
// its gc.
inline constexpr std::string_view kTruncated = "otruncated";
inline constexpr std::string_view kLockWaits = "owaits";  // hash: <sid>_<owner> -> ino u64, range
// A key that never is. A cluster's node refuses a command whose keys are partly there while it hands their
// slot to another one; with this key among them it refuses the command as long as that takes. Without it a
// script could be let in, and fail half-way at a key that it has itself deleted.
inline constexpr std::string_view kNothing = "onothing";

// So many chunks beyond a file's end are looked for when its data is deleted.
inline constexpr uint32_t kChunksLookedFor = 64;

inline std::string inode_key(Ino ino) {
  return "i" + std::to_string(ino);
}
inline std::string dir_key(Ino ino) {
  return "d" + std::to_string(ino);
}
inline std::string parents_key(Ino ino) {
  return "p" + std::to_string(ino);
}
inline std::string symlink_key(Ino ino) {
  return "s" + std::to_string(ino);
}
inline std::string xattr_key(Ino ino) {
  return "x" + std::to_string(ino);
}
inline std::string chunks_head(Ino ino) {  // of all its chunks' names
  return "c" + std::to_string(ino) + "_";
}
inline std::string chunk_key(Ino ino, uint32_t index) {
  return chunks_head(ino) + std::to_string(index);
}
inline std::string flock_key(Ino ino) {
  return "lockf" + std::to_string(ino);
}
inline std::string plock_key(Ino ino) {
  return "lockp" + std::to_string(ino);
}
inline std::string sustained_key(uint64_t sid) {
  return "session" + std::to_string(sid);
}
inline std::string locked_key(uint64_t sid) {
  return "locked" + std::to_string(sid);
}
inline std::string slice_field(uint64_t id, uint32_t size) {
  return "k" + std::to_string(id) + "_" + std::to_string(size);
}
inline std::string delayed_field(uint64_t id, int64_t deleted) {
  return std::to_string(id) + "_" + std::to_string(deleted);
}
inline std::string deleted_member(Ino ino, uint64_t length) {
  return std::to_string(ino) + ":" + std::to_string(length);
}

inline std::string holder_field(const LockHolder& holder) {
  char owner[17];
  std::snprintf(owner, sizeof owner, "%016lX", static_cast<unsigned long>(holder.owner));
  return std::to_string(holder.sid) + "_" + owner;
}

template <std::integral T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Two numbers with a separator between them: "12_34".
template <class A, class B>
bool parse_pair(std::string_view text, char separator, A* a, B* b, int base_of_b = 10) {
  size_t at = text.find(separator);
  if (at == text.npos) return false;
  auto first = parse_number<A>(text.substr(0, at));
  auto second = parse_number<B>(text.substr(at + 1), base_of_b);
  if (!first || !second) return false;
  *a = *first;
  *b = *second;
  return true;
}

inline std::optional<LockHolder> parse_holder(std::string_view field) {
  LockHolder holder;
  if (!parse_pair(field, '_', &holder.sid, &holder.owner, 16)) return std::nullopt;
  return holder;
}

// Redis lower-cases three of the counters.
inline std::string counter_key(Counter counter) {
  switch (counter) {
    case Counter::next_inode:
      return "nextinode";
    case Counter::next_chunk:
      return "nextchunk";
    case Counter::next_session:
      return "nextsession";
    default:
      return std::string(counter_name(counter));
  }
}

}  // namespace cider::meta::redis
