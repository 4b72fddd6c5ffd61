// copy_file_range: the target's chunks refer to the source's slices; no data moves.
//
// Reads:  both inodes; the source's chunks in the range (all bytes are a predicate of the commit: a
//         compaction that drops one of their slices conflicts), the first one alone, the others unless it has
//         enough to copy; the reference counts of their slices (alive is a predicate). Two or three flights.
// Checks: both are files, the target is changeable, the volume has room.
// Writes: one more reference per record, records in the target's chunks, length, times, usage, statistics.
// One commit, of so many parts that it stays short; the caller goes on from what was copied.
#include <algorithm>
#include <map>
#include <set>

#include "base/overlay.h"
#include "meta/ops/env.h"
#include "meta/ops/holes.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr uint64_t kMaxChunks = 16;
constexpr Fields kSourceFields = field::type | field::length;
constexpr Fields kTargetFields = field::access | field::length | field::nlink;

struct Range {
  Ino in;
  uint64_t in_off;
  Ino out;
  uint64_t out_off;
  uint64_t len;
};

// The source's visible parts in the range, with `pos` left out: (offset in the file, part).
using Part = std::pair<uint64_t, Slice>;

Result<std::vector<Part>> source_parts(const ChunkRangeRead& chunks, uint64_t from, uint64_t to) {
  std::vector<Part> out;
  for (uint64_t at = from; at < to;) {
    uint64_t index = at / kChunkSize;
    uint64_t base = index * kChunkSize;
    uint64_t end = std::min(to, base + kChunkSize);
    std::vector<Slice> records;
    if (auto chunk = chunks.chunks.find(index); chunk != chunks.chunks.end())
      records = TRY(decode_slices(chunk->second));
    for (const Slice& part : filled_parts(records, at - base, end - base))
      out.emplace_back(base + part.pos, part);
    at = end;
  }
  return out;
}

// Appends one part at `to` of the target, cut where it crosses into the next chunk.
void append_part(std::map<uint32_t, std::string>* chunks,
                 std::map<std::pair<uint64_t, uint32_t>, int64_t>* refs, uint64_t to, Slice part) {
  while (part.len > 0) {
    Slice piece = part;
    piece.pos = static_cast<uint32_t>(to % kChunkSize);
    piece.len = static_cast<uint32_t>(std::min<uint64_t>(part.len, kChunkSize - piece.pos));
    if (piece.id == 0) piece.size = piece.off = 0;
    append_slice(&(*chunks)[static_cast<uint32_t>(to / kChunkSize)], piece);
    if (piece.id != 0) ++(*refs)[{piece.id, piece.size}];
    part.off += piece.len;
    part.len -= piece.len;
    to += piece.len;
  }
}

Status check_alive(Transaction& tx, const std::vector<Part>& parts) {
  std::map<std::pair<uint64_t, uint32_t>, SliceRefRead*> refs;
  for (const auto& [at, part] : parts) {
    if (part.id == 0 || refs.contains({part.id, part.size})) continue;
    refs[{part.id, part.size}] = &tx.ask(SliceRefRead{part.id, part.size, {}});
  }
  TRY(tx.fetch());
  for (const auto& [key, ref] : refs) {
    if (!ref->alive()) return fail(EIO, "slice " + std::to_string(key.first) + " is being deleted");
  }
  return {};
}

// What of the range goes into one commit, from its beginning. `first` is the chunk that it begins in.
Result<std::vector<Part>> parts_to_copy(Transaction& tx, const ChunkRangeRead& first, uint64_t from,
                                        uint64_t to, size_t most) {
  uint64_t end = std::min(to, (uint64_t{first.first} + 1) * kChunkSize);
  std::vector<Part> parts = TRY(source_parts(first, from, end));
  to = std::min(to, from + most * kChunkSize);
  if (end < to && parts.size() < most) {
    auto& others =
        tx.ask(ChunkRangeRead{first.ino, first.first + 1, static_cast<uint32_t>((to - 1) / kChunkSize), {}});
    TRY(tx.fetch());
    std::ranges::move(TRY(source_parts(others, end, to)), std::back_inserter(parts));
  }
  if (parts.size() > most) parts.resize(most);
  return parts;
}

Status copy_op(Transaction& tx, OpEnv& env, const Range& asked, Meta::Copied* copied) {
  auto& in = tx.attr(asked.in, kSourceFields);
  auto& out = tx.attr(asked.out, kTargetFields, field::all);
  XattrRead* capability = ask_capability(tx, env, asked.out);
  auto index = static_cast<uint32_t>(asked.in_off / kChunkSize);
  auto& chunk = tx.ask(ChunkRangeRead{asked.in, index, index, {}});
  TRY(tx.fetch());
  if (!in.value || !out.value) return fail(ENOENT);
  if (in.value->is_dir() || out.value->is_dir()) return fail(EISDIR);
  if (!in.value->is_file() || !out.value->is_file()) return fail(EINVAL);
  Attr after = *out.value;
  TRY(check_changeable(after));
  *copied = {0, after};
  if (asked.in_off >= in.value->length) return {};
  uint64_t len = std::min(asked.len, in.value->length - asked.in_off);
  // What lies beyond the source's end is not copied, and so overlaps with nothing.
  bool overlap =
      asked.in == asked.out && asked.in_off < asked.out_off + len && asked.out_off < asked.in_off + len;
  if (overlap) return fail(EINVAL);

  std::vector<Part> parts =
      TRY(parts_to_copy(tx, chunk, asked.in_off, asked.in_off + len, env.records_per_commit));
  len = parts.back().first + parts.back().second.len - asked.in_off;
  uint64_t length = std::max(after.length, asked.out_off + len);
  int64_t growth = static_cast<int64_t>(align4k(length)) - static_cast<int64_t>(align4k(after.length));
  TRY(check_room(tx, env, growth, 0));
  TRY(add_growth(tx, env, asked.out, after, length));
  TRY(check_alive(tx, parts));

  std::map<uint32_t, std::string> records;
  std::map<std::pair<uint64_t, uint32_t>, int64_t> refs;
  for (const auto& [at, part] : parts) append_part(&records, &refs, at - asked.in_off + asked.out_off, part);
  for (const auto& [key, count] : refs) tx.write(AddSliceRef{key.first, key.second, count});
  for (auto& [to, bytes] : records) tx.write(AppendSlices{asked.out, to, std::move(bytes), nullptr});

  PatchNode patch{asked.out};
  patch.set = field::length;
  after.length = length;
  after.mtime = after.ctime = env.now;
  if (!env.caller.is_root() && without_suidgid(after.mode) != after.mode) {
    after.mode = without_suidgid(after.mode);
    patch.set |= field::mode;
  }
  patch.values = after;
  patch.touch = env.now;
  tx.write(std::move(patch));
  drop_capability(tx, capability);
  *copied = {len, after};
  return {};
}

}  // namespace

Result<Meta::Copied> Meta::copy_range(const Caller& caller, Ino in, uint64_t in_off, Ino out,
                                      uint64_t out_off, uint64_t len) {
  const OpTimer<"CopyFileRange"> timer;
  TRY(check_writable());
  if (len == 0 || in_off >= kMaxFileLength) return Copied{0, TRY(getattr(out))};  // no file is so long
  if (out_off >= kMaxFileLength) return fail(EFBIG);
  uint64_t limit = (in_off / kChunkSize + kMaxChunks) * kChunkSize - in_off;
  Range range{in, in_off, out, out_off, std::min({len, limit, kMaxFileLength - out_off})};
  Copied copied;
  TRY(run(caller, [&](Transaction& tx, OpEnv& env) { return copy_op(tx, env, range, &copied); }));
  return copied;
}

}  // namespace cider::meta
