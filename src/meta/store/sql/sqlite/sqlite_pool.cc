#include "meta/store/sql/sqlite/sqlite_pool.h"

#include <sched.h>

#include <cerrno>

namespace cider::meta::sqlite {

ReaderPool::ReaderPool(std::string path, Connection::Options options, size_t limit)
    : path_(std::move(path)), options_(options), slots_(limit) {
  ::sem_init(&free_, 0, static_cast<unsigned>(limit));
}

ReaderPool::~ReaderPool() {
  ::sem_destroy(&free_);
}

Result<ReaderPool::Lease> ReaderPool::acquire() {
  Slot* slot = take();
  Lease lease(this, slot);
  if (!slot->connection) slot->connection = TRY(Connection::open(path_, options_));
  return lease;
}

// Whoever holds a connection has it for microseconds, or has lost its core: to give way costs less than to
// sleep and be woken, for both.
void ReaderPool::wait_for_free() {
  constexpr int kTries = 20;
  for (int tries = 0; tries < kTries; ++tries) {
    if (::sem_trywait(&free_) == 0) return;
    ::sched_yield();
  }
  while (::sem_wait(&free_) != 0 && errno == EINTR) {
  }
}

// The semaphore promises a free slot to everyone it lets pass; another may be quicker at the one looked at.
ReaderPool::Slot* ReaderPool::take() {
  wait_for_free();
  for (;;) {
    for (Slot& slot : slots_) {
      if (!slot.busy.load(std::memory_order_relaxed) &&
          !slot.busy.exchange(true, std::memory_order_acquire)) {
        return &slot;
      }
    }
  }
}

void ReaderPool::give_back(Slot& slot) {
  slot.busy.store(false, std::memory_order_release);
  ::sem_post(&free_);
}

}  // namespace cider::meta::sqlite
