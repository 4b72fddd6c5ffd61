#include "meta/store/sql/sqlite_pool.h"

namespace cider::meta::sqlite {

Result<ReaderPool::Lease> ReaderPool::acquire() {
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return !free_.empty() || open_ < limit_; });
    if (!free_.empty()) {
      Lease lease(this, std::move(free_.back()));
      free_.pop_back();
      return lease;
    }
    ++open_;
  }
  auto opened = Connection::open(path_, options_);
  if (opened) return Lease(this, *std::move(opened));
  std::lock_guard lock(mutex_);
  --open_;
  freed_.notify_one();
  return fail(opened.error());
}

void ReaderPool::give_back(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(connection));
  freed_.notify_one();
}

}  // namespace cider::meta::sqlite
