#include "object/hedge.h"

#include <atomic>
#include <cstring>
#include <optional>

#include "base/worker_pool.h"
#include "object/deadlines.h"
#include "object/forwarding_store.h"
#include "object/latencies.h"
#include "object/retry.h"

namespace cider::object {
namespace {

constexpr int kThreads = 64;
constexpr int64_t kWindow = 1000;  // requests that the share is of

using Arrived = FunctionRef<void(size_t)>;
// Reads into the span; answers how many bytes there are.
using Request = std::function<Result<size_t>(std::span<std::byte>, Arrived, std::stop_token)>;

// Two requests for the same bytes.
class Race {
 public:
  enum class Who { nobody, first, second };

  std::stop_source first_stop;
  std::stop_source second_stop;

  // Whether `who` is the one that goes on: the first to ask. The other is interrupted.
  bool claim(Who who) {
    Who none = Who::nobody;
    if (!winner_.compare_exchange_strong(none, who)) return none == who;
    (who == Who::first ? second_stop : first_stop).request_stop();
    return true;
  }
  Who winner() const { return winner_.load(); }

  // ---- the second request
  void begin_second(Buffer memory) {
    std::lock_guard lock(mutex_);
    buffer_ = std::move(memory);
    begun_ = true;
  }
  void run_second(const Request& request) {
    auto done = request(
        std::span(buffer_.mutable_data(), buffer_.size()),
        [&](size_t bytes) {
          if (claim(Who::second)) tell(bytes);
        },
        second_stop.get_token());
    if (done && claim(Who::second)) tell(*done);
    std::lock_guard lock(mutex_);
    ended_ = std::move(done);
    changed_.notify_all();
  }

  bool second_begun() {
    std::lock_guard lock(mutex_);
    return begun_;
  }
  // What the second request brings, copied to `out` as it comes.
  Result<size_t> take_second(std::span<std::byte> out, Arrived arrived, const std::stop_token& stop) {
    size_t copied = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      if (!changed_.wait(lock, stop, [&] { return arrived_ > copied || ended_; })) return fail(EINTR);
      const size_t end = arrived_;
      if (end > copied) {
        lock.unlock();
        std::memcpy(out.data() + copied, buffer_.data() + copied, end - copied);
        copied = end;
        arrived(copied);
        lock.lock();
      } else {
        return *std::move(ended_);
      }
    }
  }

 private:
  void tell(size_t bytes) {
    std::lock_guard lock(mutex_);
    arrived_ = bytes;
    changed_.notify_all();
  }

  std::atomic<Who> winner_{Who::nobody};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Buffer buffer_;
  bool begun_ = false;
  size_t arrived_ = 0;
  std::optional<Result<size_t>> ended_;
};

using Who = Race::Who;

class HedgingStore final : public ForwardingStore {
 public:
  HedgingStore(std::unique_ptr<ObjectStore> inner, MemoryBudget& budget, HedgeOptions options,
               MetricSet& metrics)
      : ForwardingStore(std::move(inner)),
        options_(options),
        budget_(budget),
        hedged_(metrics.counter("object_request_hedged")) {}

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return get_in_order(key, offset, out, [](size_t) {}, std::move(stop));
  }

  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out, Arrived arrived,
                      std::stop_token stop) override {
    TRY(race(
        [this, key = std::string(key), offset](std::span<std::byte> to, Arrived tell,
                                               std::stop_token own) -> Result<size_t> {
          TRY(inner().get_in_order(key, offset, to, tell, std::move(own)));
          return to.size();
        },
        first_bytes_, out, arrived, std::move(stop)));
    return {};
  }

  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return race(
        [this, key = std::string(key)](std::span<std::byte> to, Arrived, std::stop_token own) {
          return inner().get_whole(key, to, std::move(own));
        },
        whole_, out, [](size_t) {}, std::move(stop));
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    Status done = inner().put(key, data, std::move(stop));
    note(code_of(done));
    return done;
  }

 private:
  Result<size_t> race(Request request, Latencies& latencies, std::span<std::byte> out, Arrived arrived,
                      std::stop_token stop);
  void begin_second(const std::shared_ptr<Race>& race, const Request& request, size_t size);
  bool take_turn();

  void note(int code) {
    if (code == EAGAIN) calm_until_.store((Monotonic::now() + options_.calm).time_since_epoch().count());
  }
  bool is_calm() const { return Monotonic::now().time_since_epoch().count() < calm_until_.load(); }

  const HedgeOptions options_;
  MemoryBudget& budget_;
  Counter& hedged_;
  Latencies first_bytes_;
  Latencies whole_;
  std::atomic<Monotonic::rep> calm_until_{std::numeric_limits<Monotonic::rep>::min()};
  std::mutex mutex_;
  int64_t requests_ = 0;  // in this window
  int64_t seconds_ = 0;
  WorkerPool pool_{"cider-hedge", kThreads};
  Deadlines deadlines_{"cider-hedge-due"};
};

Result<size_t> HedgingStore::race(Request request, Latencies& latencies, std::span<std::byte> out,
                                  Arrived arrived, std::stop_token stop) {
  auto race = std::make_shared<Race>();
  std::stop_callback pass_on(stop, [&] {
    race->first_stop.request_stop();
    race->second_stop.request_stop();
  });
  const auto began = Monotonic::now();
  const auto median = latencies.median(static_cast<size_t>(options_.samples));
  std::optional<Deadlines::Id> watch;
  {
    std::lock_guard lock(mutex_);
    if (++requests_ > kWindow) {
      requests_ /= 2;
      seconds_ /= 2;
    }
  }
  if (median > Monotonic::duration::zero()) {
    const auto late = std::max<Monotonic::duration>(
        std::chrono::duration_cast<Monotonic::duration>(median * options_.factor), options_.least);
    watch = deadlines_.add(began + late, [=, this, size = out.size()] { begin_second(race, request, size); });
  }
  bool timed = false;
  const auto note_time = [&] {
    if (!timed) latencies.add(Monotonic::now() - began);
    timed = true;
  };
  auto done = request(
      out,
      [&](size_t bytes) {
        if (!race->claim(Who::first)) return;
        note_time();
        arrived(bytes);
      },
      race->first_stop.get_token());
  if (watch) deadlines_.cancel(*watch);
  note(code_of(done));
  if (done) {
    const bool own = race->claim(Who::first);
    note_time();
    race->second_stop.request_stop();
    if (!own) arrived(*done);
    return done;
  }
  const bool lost = race->winner() == Who::second;
  const bool hopeful =
      race->winner() == Who::nobody && is_transient(done.error().code) && race->second_begun();
  if (!lost && !hopeful) {
    race->second_stop.request_stop();
    return done;
  }
  if (lost) note_time();
  auto second = race->take_second(out, arrived, stop);
  note(code_of(second));
  if (!second && hopeful && !stop.stop_requested()) return done;
  return second;
}

void HedgingStore::begin_second(const std::shared_ptr<Race>& race, const Request& request, size_t size) {
  if (race->winner() != Who::nobody || is_calm() || !budget_.has_room(size) || !take_turn()) return;
  race->begin_second(Buffer::allocate(size, &budget_));
  hedged_.add();
  pool_.submit([race, request] { race->run_second(request); });
}

bool HedgingStore::take_turn() {
  std::lock_guard lock(mutex_);
  if (static_cast<double>(seconds_ + 1) > options_.share * static_cast<double>(requests_)) return false;
  seconds_++;
  return true;
}

}  // namespace

std::unique_ptr<ObjectStore> with_hedging(std::unique_ptr<ObjectStore> inner, MemoryBudget& budget,
                                          HedgeOptions options, MetricSet& metrics) {
  return std::make_unique<HedgingStore>(std::move(inner), budget, options, metrics);
}

}  // namespace cider::object
