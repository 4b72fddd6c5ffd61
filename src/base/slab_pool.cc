#include "base/slab_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace cider {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kLarge = 64 << 10;
constexpr size_t kHugePage = 2 << 20;

void* map(size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

// On whole huge pages, so that few page faults fill it, and the kernel pins and copies it in large pieces.
void* map_huge(size_t size) {
  auto* const whole = static_cast<std::byte*>(map(size + kHugePage));
  const size_t before = -reinterpret_cast<uintptr_t>(whole) % kHugePage;
  if (before > 0) ::munmap(whole, before);
  ::munmap(whole + before + size, kHugePage - before);
  ::madvise(whole + before, size, MADV_HUGEPAGE);
  return whole + before;
}

}  // namespace

SlabPool::~SlabPool() {
  for (auto& [size, list] : free_) {
    for (void* slab : list.slabs) ::munmap(slab, size);
  }
}

void* SlabPool::allocate(size_t size) {
  if (size < kLarge) {
    void* memory = std::aligned_alloc(kPage, size);
    if (!memory) throw std::bad_alloc();
    return memory;
  }
  {
    std::lock_guard lock(mutex_);
    auto it = free_.find(size);
    if (it != free_.end() && !it->second.slabs.empty()) {
      FreeList& list = it->second;
      void* slab = list.slabs.back();
      list.slabs.pop_back();
      list.unneeded = std::min(list.unneeded, list.slabs.size());
      kept_ -= size;
      return slab;
    }
  }
  return size % kHugePage == 0 ? map_huge(size) : map(size);
}

void SlabPool::free(void* memory, size_t size) {
  if (size < kLarge) {
    std::free(memory);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (kept_ + size <= keep_) {
      free_[size].slabs.push_back(memory);
      kept_ += size;
      return;
    }
  }
  ::munmap(memory, size);
}

void SlabPool::trim() {
  std::vector<std::pair<void*, size_t>> victims;
  {
    std::lock_guard lock(mutex_);
    for (auto it = free_.begin(); it != free_.end();) {
      auto& [size, list] = *it;
      for (size_t i = 0; i < list.unneeded; i++) {
        victims.emplace_back(list.slabs.back(), size);
        list.slabs.pop_back();
        kept_ -= size;
      }
      list.unneeded = list.slabs.size();
      it = list.slabs.empty() ? free_.erase(it) : std::next(it);
    }
  }
  for (auto [slab, size] : victims) ::munmap(slab, size);
}

size_t SlabPool::kept() const {
  std::lock_guard lock(mutex_);
  return kept_;
}

}  // namespace cider
