// Shared byte buffers for file data: allocated in slabs, charged to a memory budget, handed on without
// copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/recycled.h"

namespace cider {

class MemoryBudget;

// A piece of a reference-counted allocation. Copying a Buffer copies the reference, not the bytes. The bytes
// may be written only by the owner that allocated them, before it shares them. Thread-safe as a shared_ptr
// is.
class Buffer {
 public:
  Buffer() = default;

  // Page-aligned memory of `size` bytes, not zeroed, charged to `budget` (which may be null) until the last
  // reference goes. Never waits: whoever must stay below the limit asks the budget before.
  static Buffer allocate(size_t size, MemoryBudget* budget);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::byte* data() const { return data_; }
  std::byte* mutable_data() { return data_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

  // The bytes [off, off+len) of this buffer, sharing its memory.
  Buffer slice(size_t off, size_t len) const;

  // Bytes of the whole allocation behind this piece; what holding the piece really costs.
  size_t footprint() const;

 private:
  struct Slab;
  std::shared_ptr<Slab> slab_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Data in several pieces, in order, as writev takes it.
using BufferChain = std::vector<Buffer, Recycled<Buffer>>;

size_t total_size(const BufferChain& chain);

}  // namespace cider
