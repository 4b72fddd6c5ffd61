#include "chunk/cache/disk_health.h"

#include <cerrno>
#include <utility>

#include "base/log.h"

namespace cider::chunk {
namespace {

constexpr Seconds kProbeWhenDown{60};

const char* text(DiskHealth::State state) {
  switch (state) {
    case DiskHealth::State::normal:
      return "normal";
    case DiskHealth::State::unstable:
      return "unstable";
    case DiskHealth::State::down:
      return "down";
  }
  return "";
}

}  // namespace

DiskHealth::DiskHealth(std::string name, const Clock& clock) : name_(std::move(name)), clock_(clock) {
  entered_ = round_ = probed_ = clock_.monotonic();
}

bool DiskHealth::is_disk_error(int error) {
  return error == EIO || error == ENXIO || error == ENODEV || error == ESTALE || error == ETIMEDOUT;
}

DiskHealth::Request::Request(Request&& other) noexcept
    : health_(std::exchange(other.health_, nullptr)), slot_(other.slot_) {}

DiskHealth::Request::~Request() {
  if (health_) done(0);
}

void DiskHealth::Request::done(int error) {
  DiskHealth* health = std::exchange(health_, nullptr);
  if (!health) return;
  if (slot_ >= 0) health->started_[static_cast<size_t>(slot_)].store(0, std::memory_order_relaxed);
  health->running_.fetch_sub(1, std::memory_order_relaxed);
  health->note(error);
}

DiskHealth::Request DiskHealth::begin() {
  const State state = state_.load(std::memory_order_relaxed);
  if (state == State::down) return Request(nullptr, -1);
  const int running = running_.fetch_add(1, std::memory_order_relaxed);
  if (state == State::unstable && running >= kMostAtOnce) {
    running_.fetch_sub(1, std::memory_order_relaxed);
    return Request(nullptr, -1);
  }
  // One that finds no slot is not timed; so many don't run at once.
  const int64_t now = clock_.monotonic().time_since_epoch().count();
  for (int i = 0; i < 4; i++) {
    const int slot = static_cast<int>(next_slot_.fetch_add(1, std::memory_order_relaxed) % kSlots);
    int64_t free = 0;
    if (started_[static_cast<size_t>(slot)].compare_exchange_strong(free, now)) return Request(this, slot);
  }
  return Request(this, -1);
}

void DiskHealth::note(int error) {
  if (!is_disk_error(error)) {
    good_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (errors_.fetch_add(1) + 1 < kErrorsToUnstable || state_.load() != State::normal) return;
  std::lock_guard lock(mutex_);
  if (state_.load() == State::normal) enter(State::unstable, "too many errors");
}

void DiskHealth::enter(State state, std::string_view why) {
  log::warning("cache directory " + name_ + ": " + text(state_.load()) + " -> " + text(state) + ": " +
               std::string(why));
  state_.store(state);
  errors_ = good_ = 0;
  entered_ = round_ = clock_.monotonic();
}

bool DiskHealth::tick() {
  const auto now = clock_.monotonic();
  for (std::atomic<int64_t>& started : started_) {
    int64_t began = started.load();
    if (began == 0 || now.time_since_epoch() - Monotonic::duration(began) < kTooSlow) continue;
    if (started.compare_exchange_strong(began, 0)) note(ETIMEDOUT);
  }
  std::lock_guard lock(mutex_);
  const State state = state_.load();
  if (state == State::down) {
    if (now - probed_ < kProbeWhenDown) return false;
    probed_ = now;
    return true;
  }
  if (now - round_ >= kRound) {
    round_ = now;
    const int errors = errors_.exchange(0);
    const int good = good_.exchange(0);
    if (state == State::unstable && errors == 0 && good >= kGoodToNormal) {
      enter(State::normal, "a minute without an error");
    } else if (state == State::unstable && now - entered_ >= kUnstableToDown) {
      enter(State::down, "unstable for too long");
    }
  }
  return state_.load() == State::unstable;
}

void DiskHealth::probed(int error) {
  if (state_.load() != State::down) return note(error);
  if (error != 0) return;
  std::lock_guard lock(mutex_);
  if (state_.load() == State::down) enter(State::unstable, "it answers again");
}

void DiskHealth::set_down(std::string_view why) {
  std::lock_guard lock(mutex_);
  if (state_.load() != State::down) enter(State::down, why);
}

void DiskHealth::set_normal() {
  std::lock_guard lock(mutex_);
  if (state_.load() != State::normal) enter(State::normal, "it is there again");
}

}  // namespace cider::chunk
