#include "chunk/rewrite.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace cider::chunk {
namespace {

// Reads the bytes of slices one after the other.
class PartReader {
 public:
  PartReader(BlockStore& blocks, std::span<const Slice> parts, std::stop_token stop)
      : blocks_(blocks), parts_(parts), stop_(std::move(stop)) {}

  // The next out.size() bytes; there are as many.
  Status read(std::span<std::byte> out) {
    while (!out.empty()) {
      const Slice& part = parts_.front();
      size_t n = std::min<size_t>(out.size(), part.len - done_);
      if (part.id == 0) {
        std::memset(out.data(), 0, n);
      } else if (n > 0) {
        TRY(blocks_.read(part.id, part.size, part.off + done_, out.first(n), stop_));
      }
      out = out.subspan(n);
      done_ += static_cast<uint32_t>(n);
      if (done_ == part.len) {
        parts_ = parts_.subspan(1);
        done_ = 0;
      }
    }
    return {};
  }

 private:
  BlockStore& blocks_;
  std::span<const Slice> parts_;
  uint32_t done_ = 0;  // of the first part
  const std::stop_token stop_;
};

Status write_slice(BlockStore& blocks, MemoryBudget& budget, uint64_t id, uint32_t size,
                   std::span<const Slice> parts, const std::stop_token& stop) {
  PartReader reader(blocks, parts, stop);
  for (uint32_t index = 0; uint32_t length = block_length(blocks.layout(), size, index); index++) {
    if (stop.stop_requested()) return fail(EINTR);
    Buffer block = Buffer::allocate(length, &budget);
    TRY(reader.read({block.mutable_data(), length}));
    TRY(blocks.write_through(id, index, {std::move(block)}, stop));
  }
  BlockStore::SliceRef slice{id, size};
  return blocks.sync({&slice, 1});
}

}  // namespace

Result<Slice> rewrite_slices(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget,
                             std::span<const Slice> parts, std::stop_token stop) {
  uint64_t total = 0;
  for (const Slice& part : parts) total += part.len;
  if (total == 0 || total > kChunkSize) {
    return fail(EINVAL, "a slice of " + std::to_string(total) + " bytes cannot be made");
  }
  auto size = static_cast<uint32_t>(total);
  uint64_t id = TRY(catalog.next_slice_id());
  Status status = write_slice(blocks, budget, id, size, parts, stop);
  if (!status) {
    if (Status removed = blocks.remove_slice(id, size); !removed) {
      log::warning("slice " + std::to_string(id) +
                   " is left over in the store: " + removed.error().to_string());
    }
    return fail(std::move(status).error());
  }
  return Slice{0, id, size, 0, size};
}

}  // namespace cider::chunk
