// Whether a cache directory's disk can be relied on. After a few errors it is "unstable": a small number of
// requests at once, and probes; then it is normal again after a minute without an error, or "down" after half
// an hour, when only a probe now and then finds out whether it is back.
// Source of the states and their numbers: JuiceFS 1.4 pkg/chunk/disk_cache_state.go, where "down" is final.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace cider::chunk {

// Thread-safe.
class DiskHealth {
 public:
  enum class State { normal, unstable, down };
  static constexpr int kErrorsToUnstable = 3;  // within a minute
  static constexpr int kGoodToNormal = 60;     // within a minute, and no error
  static constexpr int kMostAtOnce = 10;       // requests, while unstable
  static constexpr Seconds kRound{60};
  static constexpr Seconds kUnstableToDown{1800};
  static constexpr Seconds kTooSlow{30};

  explicit DiskHealth(std::string name, const Clock& clock = Clock::system());

  // A request to the disk. One that takes longer than kTooSlow counts as an error while it runs.
  class Request {
   public:
    Request(Request&& other) noexcept;
    Request& operator=(Request&&) = delete;
    ~Request();
    // False: the disk must not be asked.
    explicit operator bool() const { return health_ != nullptr; }
    // `error`: 0 or the errno.
    void done(int error);

   private:
    friend class DiskHealth;
    explicit Request(DiskHealth* health, int slot) : health_(health), slot_(slot) {}
    DiskHealth* health_;
    int slot_;
  };
  Request begin();

  State state() const { return state_.load(); }
  bool usable() const { return state() != State::down; }

  // Called every second or so: looks at the clock. True if probe results are wanted now.
  bool tick();
  void probed(int error);

  // The disk is gone or the folder is another one's; or is there again.
  void set_down(std::string_view why);
  void set_normal();

  static bool is_disk_error(int error);

 private:
  void note(int error);
  void enter(State state, std::string_view why);

  static constexpr int kSlots = 64;
  const std::string name_;
  const Clock& clock_;
  std::atomic<State> state_{State::normal};
  std::atomic<int> running_{0};
  std::atomic<int> errors_{0};
  std::atomic<int> good_{0};
  std::array<std::atomic<int64_t>, kSlots> started_{};  // nanoseconds of the monotonic clock; 0: free
  std::atomic<unsigned> next_slot_{0};

  std::mutex mutex_;  // guards all below, and changes of state_
  Monotonic::time_point entered_;
  Monotonic::time_point round_;
  Monotonic::time_point probed_;
};

}  // namespace cider::chunk
