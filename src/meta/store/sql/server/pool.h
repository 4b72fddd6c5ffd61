// A bounded number of connections to an SQL server, made when needed and kept.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/store/sql/server/connection.h"

namespace cider::meta::sql::server {

// A connection and its place among this client's decided commits (cider_op), which nobody else has
// meanwhile.
struct Member {
  std::unique_ptr<Connection> connection;
  uint64_t slot = 0;
  bool slot_is_open = false;  // its last commit's outcome is not known: the slot is not free
};

// Thread-safe.
class Pool {
 public:
  Pool(Driver& driver, size_t limit) : driver_(driver), limit_(limit) {}
  Pool(const Pool&) = delete;

  // Given back when the lease ends; dropped where it is not usable any more.
  class Lease {
   public:
    Lease(Pool* pool, std::unique_ptr<Member> member) : pool_(pool), member_(std::move(member)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (member_) pool_->give_back(std::move(member_));
    }
    Connection& operator*() const { return *member_->connection; }
    Connection* operator->() const { return member_->connection.get(); }
    Member& member() const { return *member_; }

   private:
    Pool* pool_;
    std::unique_ptr<Member> member_;
  };
  // Waits while all are busy, and while the server is away: then up to kPatience, ETIMEDOUT; EINTR when
  // `stop` is requested.
  Result<Lease> acquire(std::stop_token stop);

  // The slot of a commit whose outcome is known now.
  void free_slot(uint64_t slot);

 private:
  Result<std::unique_ptr<Member>> take(std::stop_token stop);
  Result<std::unique_ptr<Connection>> connect(const std::stop_token& stop);
  void give_back(std::unique_ptr<Member> member);
  Status end_lost(Connection& by, const std::stop_token& stop);

  Driver& driver_;
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::unique_ptr<Member>> idle_;
  size_t members_ = 0;  // idle ones and those in use
  std::vector<uint64_t> free_slots_;
  uint64_t slots_ = 0;
  // Server sides of connections that broke: they may hold locks until somebody ends them.
  std::vector<std::string> lost_;
  std::atomic<bool> any_lost_{false};
};

// How long callers wait for a server that is away.
inline constexpr int kPatienceSeconds = 300;

// A random sleep that grows, at most a second. False when `stop` is requested.
bool back_off(int attempt, const std::stop_token& stop);

}  // namespace cider::meta::sql::server
