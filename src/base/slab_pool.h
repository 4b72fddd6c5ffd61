// Memory for buffers: large pieces come from mmap and are kept for reuse for a while, because the page faults
// of fresh memory cost as much as filling it; small ones come from the heap. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace cider {

class SlabPool {
 public:
  // Keeps at most `keep` bytes that nobody uses.
  explicit SlabPool(size_t keep) : keep_(keep) {}
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // `size` is a multiple of the page size; the memory is page-aligned and not zeroed. Throws bad_alloc.
  void* allocate(size_t size);
  void free(void* memory, size_t size);

  // Gives back what has not been needed since the last call. Called from time to time.
  void trim();
  size_t kept() const;

 private:
  struct FreeList {
    std::vector<void*> slabs;
    size_t unneeded = 0;  // the list was never shorter than this since the last trim
  };

  const size_t keep_;
  mutable std::mutex mutex_;
  size_t kept_ = 0;
  std::map<size_t, FreeList> free_;  // by size; few sizes are in use
};

}  // namespace cider
