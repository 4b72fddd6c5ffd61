// Counts what a thread allocates, by replacing operator new in the whole program. Included by one file of a
// program's at most. For tests only.
#pragma once

#include <cstdlib>
#include <new>

namespace cider::testing {

inline thread_local size_t allocations = 0;

inline void* counted(size_t size) {
  allocations++;
  void* memory = std::malloc(size);
  if (!memory) std::abort();
  return memory;
}

}  // namespace cider::testing

void* operator new(size_t size) {
  return cider::testing::counted(size);
}
void* operator new[](size_t size) {
  return cider::testing::counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
