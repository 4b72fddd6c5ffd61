#include "meta/model/slices.h"

#include "base/bytes.h"

namespace cider::meta {
namespace {

constexpr size_t kDelayedRecordSize = 12;

// A hole has no slice behind it: its size is of no account.
bool plausible(const Slice& slice) {
  const bool within_slice = slice.id == 0 || uint64_t{slice.off} + slice.len <= slice.size;
  return within_slice && uint64_t{slice.pos} + slice.len <= kChunkSize;
}

std::unexpected<Error> wrong_length(std::string_view what, size_t length, size_t unit) {
  return fail(EIO, std::string(what) + " of " + std::to_string(length) + " bytes is no multiple of " +
                       std::to_string(unit));
}

}  // namespace

void append_slice(std::string* records, const Slice& slice) {
  ByteWriter out;
  out.u32(slice.pos).u64(slice.id).u32(slice.size).u32(slice.off).u32(slice.len);
  records->append(out.view());
}

std::string encode_slices(const std::vector<Slice>& slices) {
  std::string records;
  records.reserve(slices.size() * kSliceRecordSize);
  for (const Slice& slice : slices) append_slice(&records, slice);
  return records;
}

Result<std::vector<Slice>> decode_slices(std::string_view records) {
  if (records.size() % kSliceRecordSize != 0)
    return wrong_length("slice list", records.size(), kSliceRecordSize);
  std::vector<Slice> slices;
  slices.reserve(records.size() / kSliceRecordSize);
  ByteReader in(records);
  while (in.remaining() > 0) {
    Slice slice;
    slice.pos = in.u32();
    slice.id = in.u64();
    slice.size = in.u32();
    slice.off = in.u32();
    slice.len = in.u32();
    if (!plausible(slice)) {
      return fail(EIO, "slice record " + std::to_string(slices.size()) + " (slice " +
                           std::to_string(slice.id) + ", size " + std::to_string(slice.size) + ", bytes " +
                           std::to_string(slice.off) + "+" + std::to_string(slice.len) + " at " +
                           std::to_string(slice.pos) + ") reaches beyond its slice or chunk");
    }
    slices.push_back(slice);
  }
  return slices;
}

std::string encode_delayed_slices(const std::vector<DelayedSlice>& slices) {
  ByteWriter out;
  for (const DelayedSlice& slice : slices) out.u64(slice.id).u32(slice.size);
  return out.take();
}

Result<std::vector<DelayedSlice>> decode_delayed_slices(std::string_view records) {
  if (records.size() % kDelayedRecordSize != 0) {
    return wrong_length("delayed slice list", records.size(), kDelayedRecordSize);
  }
  std::vector<DelayedSlice> slices;
  ByteReader in(records);
  while (in.remaining() > 0) {
    DelayedSlice slice;
    slice.id = in.u64();
    slice.size = in.u32();
    slices.push_back(slice);
  }
  return slices;
}

}  // namespace cider::meta
