#include "meta/store/sql/server/pool.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace cider::meta::sql::server {

using SteadyClock = std::chrono::steady_clock;

bool back_off(int attempt, const std::stop_token& stop) {
  thread_local std::minstd_rand random(std::random_device{}());
  const int limit = std::min(1'000'000, 1000 << std::min(attempt, 10));
  const std::chrono::microseconds time(std::uniform_int_distribution<int>(limit / 4, limit)(random));
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

Result<Pool::Lease> Pool::acquire(std::stop_token stop) {
  for (;;) {
    Lease lease(this, TRY(take(stop)));
    // Whoever lost a connection finds the locks of its transaction in the way.
    Status cleared = end_lost(*lease, stop);
    if (cleared) return lease;
    if (cleared.error().code != kLost) return fail(std::move(cleared).error());
  }
}

Result<std::unique_ptr<Member>> Pool::take(std::stop_token stop) {
  auto member = std::make_unique<Member>();
  {
    std::unique_lock lock(mutex_);
    const bool free = changed_.wait(lock, stop, [this] { return !idle_.empty() || members_ < limit_; });
    if (!free) return fail(EINTR);
    if (!idle_.empty()) {
      auto found = std::move(idle_.back());
      idle_.pop_back();
      return found;
    }
    ++members_;
    if (free_slots_.empty()) free_slots_.push_back(slots_++);
    member->slot = free_slots_.back();
    free_slots_.pop_back();
  }
  auto connection = connect(stop);
  if (!connection) {
    give_back(std::move(member));
    return fail(std::move(connection).error());
  }
  member->connection = *std::move(connection);
  return member;
}

Result<std::unique_ptr<Connection>> Pool::connect(const std::stop_token& stop) {
  const auto end = SteadyClock::now() + std::chrono::seconds(kPatienceSeconds);
  for (int attempt = 0;; ++attempt) {
    auto connection = driver_.connect(stop);
    if (connection || connection.error().code != kLost) return connection;
    if (SteadyClock::now() > end) return fail(ETIMEDOUT, connection.error().message);
    if (!back_off(attempt, stop)) return fail(EINTR);
  }
}

Status Pool::end_lost(Connection& by, const std::stop_token& stop) {
  if (!any_lost_) return {};
  std::vector<std::string> lost;
  {
    std::lock_guard lock(mutex_);
    any_lost_ = false;
    lost.swap(lost_);
  }
  while (!lost.empty()) {
    Status ended = driver_.end(by, lost.back(), stop);
    if (!ended) {
      std::lock_guard lock(mutex_);
      lost_.insert(lost_.end(), lost.begin(), lost.end());
      any_lost_ = true;
      return ended;
    }
    lost.pop_back();
  }
  return {};
}

void Pool::give_back(std::unique_ptr<Member> member) {
  std::lock_guard lock(mutex_);
  if (member->connection && member->connection->is_usable() && !member->slot_is_open) {
    idle_.push_back(std::move(member));
  } else {
    if (member->connection) {
      lost_.push_back(member->connection->backend());
      any_lost_ = true;
    }
    if (!member->slot_is_open) free_slots_.push_back(member->slot);
    --members_;
  }
  changed_.notify_one();
}

void Pool::free_slot(uint64_t slot) {
  std::lock_guard lock(mutex_);
  free_slots_.push_back(slot);
}

}  // namespace cider::meta::sql::server
