#include "base/buffer.h"

#include <cstdlib>
#include <new>

#include "base/budget.h"

namespace cider {
namespace {

constexpr size_t kPage = 4096;

size_t round_up(size_t n) {
  return (n + kPage - 1) / kPage * kPage;
}

}  // namespace

struct Buffer::Slab {
  std::byte* memory;
  size_t size;
  MemoryBudget* budget;

  ~Slab() {
    if (!budget) {
      std::free(memory);
      return;
    }
    budget->slabs().free(memory, size);
    budget->release(size);
  }
};

Buffer Buffer::allocate(size_t size, MemoryBudget* budget) {
  size_t rounded = round_up(size ? size : 1);
  void* memory = budget ? budget->slabs().allocate(rounded) : std::aligned_alloc(kPage, rounded);
  if (!memory) throw std::bad_alloc();
  if (budget) budget->charge(rounded);
  Buffer buffer;
  buffer.slab_ =
      std::allocate_shared<Slab>(Recycled<Slab>(), static_cast<std::byte*>(memory), rounded, budget);
  buffer.data_ = buffer.slab_->memory;
  buffer.size_ = size;
  return buffer;
}

Buffer Buffer::slice(size_t off, size_t len) const {
  Buffer piece = *this;
  piece.data_ = data_ + off;
  piece.size_ = len;
  return piece;
}

size_t Buffer::footprint() const {
  return slab_ ? slab_->size : 0;
}

size_t total_size(const BufferChain& chain) {
  size_t total = 0;
  for (const Buffer& piece : chain) total += piece.size();
  return total;
}

}  // namespace cider
