// Connections for reading, opened when needed and kept.
#pragma once

#include <semaphore.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/store/sql/sqlite/sqlite_db.h"

namespace cider::meta::sqlite {

// Thread-safe. Readers see the last commit at the moment they begin (WAL), wait neither for the writer nor
// for each other, but for a free connection when all are busy. There is no lock: every lookup passes here,
// and a thread that loses its core while it holds one makes all others sleep and wake.
class ReaderPool {
 public:
  ReaderPool(std::string path, Connection::Options options, size_t limit);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;

 private:
  struct alignas(64) Slot {
    std::atomic<bool> busy{false};
    std::unique_ptr<Connection> connection;  // belongs to whoever made it busy
  };

 public:
  // A connection, given back when the lease ends.
  class Lease {
   public:
    Lease(ReaderPool* pool, Slot* slot) : pool_(pool), slot_(slot) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), slot_(std::exchange(other.slot_, nullptr)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      if (slot_) pool_->give_back(*slot_);
    }
    Connection& operator*() const { return *slot_->connection; }

   private:
    ReaderPool* pool_;
    Slot* slot_;
  };
  Result<Lease> acquire();

 private:
  void wait_for_free();
  Slot* take();
  void give_back(Slot& slot);

  const std::string path_;
  const Connection::Options options_;
  std::vector<Slot> slots_;  // the first are taken first: their caches are warm
  ::sem_t free_;             // libstdc++ 12 loses wake-ups of its counting_semaphore
};

}  // namespace cider::meta::sqlite
