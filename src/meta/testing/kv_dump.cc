// Every record of a volume in an ordered-KV engine, by its keys.
#include "base/bytes.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/records.h"
#include "meta/store/kv/usage_tally.h"
#include "meta/testing/volume_dump.h"

namespace cider::meta::testing {
namespace {

Ino ino_at(std::string_view key, size_t at) {
  return ByteReader(key.substr(std::min(key.size(), at)), std::endian::little).u64();
}

Status take_inode_part(const kv::Pair& pair, VolumeDump* out) {
  constexpr size_t kKindAt = 9;
  if (pair.key.size() <= kKindAt) return fail(EIO, "a key is too short: " + to_hex(pair.key));
  const Ino ino = ino_at(pair.key, 1);
  switch (pair.key[kKindAt]) {
    case 'I':
      out->nodes[ino] = TRY(decode_attr(pair.value));
      return {};
    case 'D':
      out->entries.push_back({ino, std::string(kv::name_in(pair.key)), TRY(decode_entry(pair.value))});
      return {};
    case 'P':
      (*out->parents)[ino][kv::parse_parent_key(pair.key).value_or(0)] =
          static_cast<uint32_t>(TRY(kv::decode_counter(pair.value)));
      return {};
    case 'C':
      if (auto chunk = kv::parse_chunk_key(pair.key))
        out->chunks[{chunk->ino, chunk->index}] = TRY(decode_slices(pair.value));
      return {};
    case 'S':
      out->symlinks[ino] = pair.value;
      return {};
    case 'X':
      out->with_xattrs.insert(ino);
      return {};
    default:
      return fail(EIO, "a key of no kind: " + to_hex(pair.key));
  }
}

Status take_session_part(const kv::Pair& pair, VolumeDump* out) {
  if (auto sid = kv::parse_session_key(pair.key)) out->sessions.insert(*sid);
  if (auto key = kv::parse_sustained_key(pair.key)) out->sustained.emplace(key->ino, key->sid);
  return {};
}

// What clients have not counted yet is used, too.
Status take_tally(const kv::Pair& pair, VolumeDump* out) {
  const auto key = kv::parse_tally_key(pair.key);
  if (!key) return {};
  const UsageRead usage =
      key->is_total ? TRY(kv::decode_total(pair.value)) : TRY(kv::decode_counted(pair.value)).usage;
  const int sign = key->is_total ? 1 : -1;
  out->used_space += sign * usage.space;
  out->used_inodes += sign * usage.inodes;
  return {};
}

Status take(const kv::Pair& pair, VolumeDump* out) {
  switch (pair.key[0]) {
    case 'A':
      return take_inode_part(pair, out);
    case 'S':
      return take_session_part(pair, out);
    case 'C':
      if (pair.key == "CusedSpace") out->used_space += TRY(kv::decode_counter(pair.value));
      if (pair.key == "CtotalInodes") out->used_inodes += TRY(kv::decode_counter(pair.value));
      return {};
    case 'T':
      return take_tally(pair, out);
    case 'K':
      if (auto slice = kv::parse_slice_ref_key(pair.key))
        out->refs[{slice->id, slice->size}] = TRY(kv::decode_counter(pair.value)) + 1;
      return {};
    case 'L':
      for (const DelayedSlice& slice : TRY(decode_delayed_slices(pair.value))) out->delayed.push_back(slice);
      return {};
    case 'D':
      if (auto file = kv::parse_deleted_file_key(pair.key)) out->deleted_files.insert(file->ino);
      return {};
    case 'F':
      for (const Flock& lock : TRY(kv::decode_flocks(pair.value))) out->lock_sessions.insert(lock.holder.sid);
      return {};
    case 'P':
      for (const Plock& lock : TRY(kv::decode_plocks(pair.value))) out->lock_sessions.insert(lock.holder.sid);
      return {};
    case 'W':
      if (auto waiter = kv::parse_lock_wait_key(pair.key)) out->lock_sessions.insert(waiter->sid);
      return {};
    case 'U':
      out->dir_stats[ino_at(pair.key, 1)] = TRY(kv::decode_dir_stat(pair.value));
      return {};
    default:
      return {};
  }
}

}  // namespace

// What has no count has one reference; those are found by the records.
Result<VolumeDump> dump_kv(kv::Database& database) {
  const auto view = TRY(database.view({}));
  VolumeDump out;
  out.parents.emplace();
  const kv::Range all{std::string(1, '\0'), std::string(64, '\xff')};
  for (const kv::Pair& pair : TRY(view->scan(all, SIZE_MAX, false))) TRY(take(pair, &out));
  for (const auto& [chunk, slices] : out.chunks) {
    for (const Slice& slice : slices) {
      if (slice.id != 0) out.refs.try_emplace({slice.id, slice.size}, 1);
    }
  }
  for (const DelayedSlice& slice : out.delayed) out.refs.try_emplace({slice.id, slice.size}, 1);
  return out;
}

}  // namespace cider::meta::testing
