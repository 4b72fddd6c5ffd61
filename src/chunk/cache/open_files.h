// Open files of blocks that are read again and again: a hit costs one pread, and what was verified once stays
// known. A fixed table; nothing is allocated after the start.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "chunk/block_cache.h"
#include "chunk/cache/block_file.h"

namespace cider::chunk {

// Thread-safe. Files of removed blocks must be dropped, or their space stays taken.
class OpenFiles {
 private:
  struct Slot;
  struct Set;

 public:
  static constexpr size_t kSets = 64;
  static constexpr size_t kWays = 4;

  OpenFiles();
  ~OpenFiles();

  // A file in use; false if there was none.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    explicit operator bool() const { return slot_ != nullptr || own_; }
    BlockFile& file();

   private:
    friend class OpenFiles;
    Set* set_ = nullptr;
    Slot* slot_ = nullptr;
    BlockFile own_;  // where the table had no room
  };

  // Where there is none, `drops` is for add().
  Lease find(const BlockName& block, uint64_t* drops);
  // Keeps a file that was opened since find(), unless drop() was called meanwhile: it may be of an earlier
  // block of the name.
  Lease add(const BlockName& block, BlockFile file, uint64_t drops);
  void drop(const BlockName& block);
  // Closes files that nothing but this table holds on to.
  void drop_removed();

 private:
  Set& set_of(const BlockName& block);
  std::unique_ptr<Set[]> sets_;
};

}  // namespace cider::chunk
