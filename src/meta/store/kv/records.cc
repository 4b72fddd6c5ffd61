#include "meta/store/kv/records.h"

#include <algorithm>

#include "base/bytes.h"

namespace cider::meta::kv {
namespace {

std::unexpected<Error> wrong(std::string_view what, std::string_view record) {
  return fail(EIO, std::string(what) + " of " + std::to_string(record.size()) + " bytes does not decode");
}

}  // namespace

std::string encode_counter(int64_t value) {
  return ByteWriter(std::endian::little).u64(static_cast<uint64_t>(value)).take();
}

// JuiceFS takes an empty value for 0.
Result<int64_t> decode_counter(std::string_view record) {
  if (record.empty()) return 0;
  if (record.size() != sizeof(int64_t)) return wrong("a counter", record);
  return static_cast<int64_t>(ByteReader(record, std::endian::little).u64());
}

std::string encode_number(int64_t value) {
  return ByteWriter().u64(static_cast<uint64_t>(value)).take();
}

Result<int64_t> decode_number(std::string_view record) {
  if (record.empty()) return 0;
  if (record.size() != sizeof(int64_t)) return wrong("a number", record);
  return static_cast<int64_t>(ByteReader(record).u64());
}

bool is_set_as_number(Counter counter) {
  switch (counter) {
    case Counter::last_cleanup_sessions:
    case Counter::last_cleanup_files:
    case Counter::last_cleanup_trash:
    case Counter::next_cleanup_slices:
      return true;
    default:
      return false;
  }
}

std::string encode_dir_stat(const DirStat& stat) {
  return ByteWriter()
      .u64(static_cast<uint64_t>(stat.length))
      .u64(static_cast<uint64_t>(stat.space))
      .u64(static_cast<uint64_t>(stat.inodes))
      .take();
}

Result<DirStat> decode_dir_stat(std::string_view record) {
  constexpr size_t kSize = 24;
  if (record.size() != kSize) return wrong("statistics of a directory", record);
  ByteReader in(record);
  DirStat stat;
  stat.length = static_cast<int64_t>(in.u64());
  stat.space = static_cast<int64_t>(in.u64());
  stat.inodes = static_cast<int64_t>(in.u64());
  return stat;
}

std::string encode_flocks(const std::vector<Flock>& table) {
  ByteWriter out;
  for (const Flock& lock : table) {
    out.u64(lock.holder.sid).u64(lock.holder.owner).u8(lock.kind == LockKind::write ? 'W' : 'R');
  }
  return out.take();
}

Result<std::vector<Flock>> decode_flocks(std::string_view record) {
  std::vector<Flock> table;
  ByteReader in(record);
  while (in.remaining() > 0) {
    Flock lock;
    lock.holder.sid = in.u64();
    lock.holder.owner = in.u64();
    const uint8_t kind = in.u8();
    if (!in.ok() || (kind != 'R' && kind != 'W')) return wrong("a table of flocks", record);
    lock.kind = kind == 'W' ? LockKind::write : LockKind::read;
    table.push_back(lock);
  }
  std::ranges::sort(table, {}, &Flock::holder);
  return table;
}

std::string encode_plocks(const std::vector<Plock>& table) {
  ByteWriter out;
  for (const Plock& lock : table) {
    const std::string ranges = encode_plock_ranges(lock.ranges);
    out.u64(lock.holder.sid).u64(lock.holder.owner).u32(static_cast<uint32_t>(ranges.size())).raw(ranges);
  }
  return out.take();
}

Result<std::vector<Plock>> decode_plocks(std::string_view record) {
  std::vector<Plock> table;
  ByteReader in(record);
  while (in.remaining() > 0) {
    Plock lock;
    lock.holder.sid = in.u64();
    lock.holder.owner = in.u64();
    const std::string_view ranges = in.raw(in.u32());
    if (!in.ok()) return wrong("a table of record locks", record);
    lock.ranges = TRY(decode_plock_ranges(ranges));
    table.push_back(std::move(lock));
  }
  std::ranges::sort(table, {}, &Plock::holder);
  return table;
}

std::string encode_lock_wait(const LockWait& wait) {
  return ByteWriter().u64(wait.ino).raw(encode_plock_ranges({wait.range})).take();
}

Result<LockWait> decode_lock_wait(const LockHolder& waiter, std::string_view record) {
  ByteReader in(record);
  const Ino ino = in.u64();
  auto ranges = TRY(decode_plock_ranges(in.raw(in.remaining())));
  if (!in.ok() || ranges.size() != 1) return wrong("a wait for a lock", record);
  return LockWait{waiter, ino, ranges.front()};
}

}  // namespace cider::meta::kv
