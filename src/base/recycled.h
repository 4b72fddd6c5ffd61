// An allocator for small objects that come and go by the thousand: each thread keeps a few of what it has
// freed, so that the next ones cost no call of malloc.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, size)
#define ASAN_UNPOISON_MEMORY_REGION(begin, size)
#endif

namespace cider {

// Memory of one size. What one thread has allocated another may free.
template <size_t kBytes>
class SpareMemory {
 public:
  static void* take() {
    Spares& mine = spares_;
    if (mine.count == 0) return ::operator new(kBytes);
    void* memory = mine.of[--mine.count];
    ASAN_UNPOISON_MEMORY_REGION(memory, kBytes);
    return memory;
  }
  static void give(void* memory) {
    Spares& mine = spares_;
    if (mine.closed || mine.count == mine.of.size()) return ::operator delete(memory);
    if (!mine.has_end) plan_end(mine);
    ASAN_POISON_MEMORY_REGION(memory, kBytes);
    mine.of[mine.count++] = memory;
  }

 private:
  // Has no destructor: other objects of the thread, which go after `End`, may still take and give.
  struct Spares {
    std::array<void*, 32> of;
    size_t count;
    bool closed;
    bool has_end;
  };
  struct End {
    ~End() {
      Spares& mine = spares_;
      for (; mine.count > 0; --mine.count) {
        ASAN_UNPOISON_MEMORY_REGION(mine.of[mine.count - 1], kBytes);
        ::operator delete(mine.of[mine.count - 1]);
      }
      mine.closed = true;
    }
  };
  static void plan_end(Spares& mine) {
    thread_local End end;
    mine.has_end = true;
  }

  static inline thread_local constinit Spares spares_{};
};

// For single objects (allocate_shared) and the first few of a vector.
template <class T>
struct Recycled {
  using value_type = T;
  static constexpr size_t kFew = 2;
  static_assert(alignof(T) <= alignof(std::max_align_t));

  Recycled() = default;
  template <class U>
  Recycled(const Recycled<U>&) {}  // NOLINT(google-explicit-constructor): allocators convert

  T* allocate(size_t n) {
    if (n > kFew) return std::allocator<T>().allocate(n);
    return static_cast<T*>(n == 1 ? SpareMemory<sizeof(T)>::take() : SpareMemory<kFew * sizeof(T)>::take());
  }
  void deallocate(T* memory, size_t n) {
    if (n > kFew) return std::allocator<T>().deallocate(memory, n);
    n == 1 ? SpareMemory<sizeof(T)>::give(memory) : SpareMemory<kFew * sizeof(T)>::give(memory);
  }
  friend bool operator==(const Recycled&, const Recycled&) { return true; }
};

}  // namespace cider
