#include "meta/store/kv/keys.h"

#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "meta/store/client_usage.h"

namespace cider::meta::kv {
namespace {

void put_ino(std::string* key, Ino ino) {
  ino = byteswap_if(ino, std::endian::little);
  key->append(reinterpret_cast<const char*>(&ino), sizeof ino);
}
void put_u64(std::string* key, uint64_t n) {
  n = byteswap_if(n, std::endian::big);
  key->append(reinterpret_cast<const char*>(&n), sizeof n);
}
void put_u32(std::string* key, uint32_t n) {
  n = byteswap_if(n, std::endian::big);
  key->append(reinterpret_cast<const char*>(&n), sizeof n);
}

std::string with_ino(std::string_view head, Ino ino, std::string_view kind = {}, size_t more = 0) {
  std::string key;
  key.reserve(head.size() + sizeof ino + kind.size() + more);
  key.append(head);
  put_ino(&key, ino);
  key.append(kind);
  return key;
}
std::string with_number(std::string_view head, uint64_t number) {
  std::string key(head);
  put_u64(&key, number);
  return key;
}

// Takes a key apart; not ok where it is longer or shorter than what was taken.
class KeyReader {
 public:
  KeyReader(std::string_view key, std::string_view head)
      : rest_(key.starts_with(head) ? key.substr(head.size()) : std::string_view{}),
        ok_(key.starts_with(head)) {}
  Ino ino() { return byteswap_if(number<uint64_t>(), std::endian::little); }
  uint64_t u64() { return byteswap_if(number<uint64_t>(), std::endian::big); }
  uint32_t u32() { return byteswap_if(number<uint32_t>(), std::endian::big); }
  char letter() { return static_cast<char>(number<uint8_t>()); }
  bool is_whole() const { return ok_ && rest_.empty(); }

 private:
  template <class T>
  T number() {
    T out = 0;
    if (rest_.size() < sizeof out) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&out, rest_.data(), sizeof out);
    rest_.remove_prefix(sizeof out);
    return out;
  }

  std::string_view rest_;
  bool ok_;
};

}  // namespace

std::string counter_key(std::string_view name) {
  return "C" + std::string(name);
}
std::string inode_key(Ino ino) {
  return with_ino("A", ino, "I");
}
std::string entry_key(Ino parent, std::string_view name) {
  return with_ino("A", parent, "D", name.size()).append(name);
}
bool is_entry_key(std::string_view key) {
  constexpr size_t kKind = 1 + sizeof(Ino);
  return key.size() > kKind && key.front() == 'A' && key[kKind] == 'D';
}
std::string parent_key(Ino ino, Ino parent) {
  std::string key = with_ino("A", ino, "P", sizeof parent);
  put_ino(&key, parent);
  return key;
}
std::string chunk_key(Ino ino, uint32_t index) {
  std::string key = with_ino("A", ino, "C", sizeof index);
  put_u32(&key, index);
  return key;
}
std::string symlink_key(Ino ino) {
  return with_ino("A", ino, "S");
}
std::string xattr_key(Ino ino, std::string_view name) {
  return with_ino("A", ino, "X", name.size()).append(name);
}
std::string deleted_file_key(Ino ino, uint64_t length) {
  std::string key = with_ino("D", ino, {}, sizeof length);
  put_u64(&key, length);
  return key;
}
std::string flocks_key(Ino ino) {
  return with_ino("F", ino);
}
std::string plocks_key(Ino ino) {
  return with_ino("P", ino);
}
std::string slice_ref_key(uint64_t id, uint32_t size) {
  std::string key = with_number("K", id);
  put_u32(&key, size);
  return key;
}
std::string delayed_key(int64_t deleted, uint64_t id) {
  std::string key = with_number("L", static_cast<uint64_t>(deleted));
  put_u64(&key, id);
  return key;
}
std::string session_key(uint64_t sid) {
  return with_number("SE", sid);
}
std::string session_info_key(uint64_t sid) {
  return with_number("SI", sid);
}
std::string sustained_key(uint64_t sid, Ino ino) {
  std::string key = with_number("SS", sid);
  put_ino(&key, ino);
  return key;
}
std::string dir_stat_key(Ino ino) {
  return with_ino("U", ino);
}
std::string dir_quota_key(Ino ino) {
  return with_ino("QD", ino);
}
std::string acl_key(uint32_t id) {
  std::string key = "R";
  put_u32(&key, id);
  return key;
}
std::string lock_wait_key(const LockHolder& waiter) {
  std::string key = with_number(kLockWaits, waiter.sid);
  put_u64(&key, waiter.owner);
  return key;
}

std::string total_key(std::string_view client) {
  return std::string(kTallies) + std::string(client) + 'T';
}
std::string counted_key(std::string_view client) {
  return std::string(kTallies) + std::string(client) + 'C';
}

Range all_of(std::string_view prefix) {
  Range range{std::string(prefix), std::string(prefix)};
  while (!range.end.empty() && range.end.back() == '\xff') range.end.pop_back();
  if (range.end.empty()) {
    range.end.assign(64, '\xff');  // beyond any key: none begins with that many
  } else {
    range.end.back() = static_cast<char>(range.end.back() + 1);
  }
  return range;
}
Range entries_of(Ino dir) {
  return all_of(with_ino("A", dir, "D"));
}
Range parents_of(Ino ino) {
  return all_of(with_ino("A", ino, "P"));
}
Range xattrs_of(Ino ino) {
  return all_of(with_ino("A", ino, "X"));
}
Range chunks_of(Ino ino, uint32_t first, uint32_t last) {
  return {chunk_key(ino, first), chunk_key(ino, last) + '\0'};
}
Range sustained_of(uint64_t sid) {
  return all_of(with_number("SS", sid));
}
Range belongings_of(Ino ino) {
  return {with_ino("A", ino, "P"), with_ino("A", ino, "Y")};
}

std::optional<ChunkKey> parse_chunk_key(std::string_view key) {
  KeyReader in(key, kInodes);
  ChunkKey out;
  out.ino = in.ino();
  const char kind = in.letter();
  out.index = in.u32();
  return in.is_whole() && kind == 'C' ? std::optional(out) : std::nullopt;
}
std::optional<DelayedRow> parse_delayed_key(std::string_view key) {
  KeyReader in(key, kDelayed);
  DelayedRow out;
  out.deleted = static_cast<int64_t>(in.u64());
  out.id = in.u64();
  return in.is_whole() ? std::optional(out) : std::nullopt;
}
std::optional<SliceKey> parse_slice_ref_key(std::string_view key) {
  KeyReader in(key, kSliceRefs);
  SliceKey out;
  out.id = in.u64();
  out.size = in.u32();
  return in.is_whole() ? std::optional(out) : std::nullopt;
}
std::optional<DeletedFile> parse_deleted_file_key(std::string_view key) {
  KeyReader in(key, kDeletedFiles);
  DeletedFile out;
  out.ino = in.ino();
  out.length = in.u64();
  return in.is_whole() ? std::optional(out) : std::nullopt;
}
std::optional<Ino> parse_lock_key(std::string_view key) {
  KeyReader in(key, key.substr(0, 1));
  const Ino ino = in.ino();
  return in.is_whole() ? std::optional(ino) : std::nullopt;
}
std::optional<uint64_t> parse_session_key(std::string_view key) {
  KeyReader in(key, kSessions);
  const uint64_t sid = in.u64();
  return in.is_whole() ? std::optional(sid) : std::nullopt;
}
std::optional<SustainedKey> parse_sustained_key(std::string_view key) {
  KeyReader in(key, kSustained);
  SustainedKey out;
  out.sid = in.u64();
  out.ino = in.ino();
  return in.is_whole() ? std::optional(out) : std::nullopt;
}
std::optional<Ino> parse_parent_key(std::string_view key) {
  KeyReader in(key, kInodes);
  in.ino();
  const char kind = in.letter();
  const Ino parent = in.ino();
  return in.is_whole() && kind == 'P' ? std::optional(parent) : std::nullopt;
}
std::optional<LockHolder> parse_lock_wait_key(std::string_view key) {
  KeyReader in(key, kLockWaits);
  LockHolder out;
  out.sid = in.u64();
  out.owner = in.u64();
  return in.is_whole() ? std::optional(out) : std::nullopt;
}

std::optional<TallyKey> parse_tally_key(std::string_view key) {
  if (!key.starts_with(kTallies) || key.size() != kTallies.size() + kClientNameSize + 1) return std::nullopt;
  if (key.back() != 'T' && key.back() != 'C') return std::nullopt;
  return TallyKey{key.substr(kTallies.size(), kClientNameSize), key.back() == 'T'};
}

}  // namespace cider::meta::kv
