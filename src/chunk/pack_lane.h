// When waiting small slices go off together.
//
// At most two PUTs of packs that are not full are under way. What comes meanwhile gathers, and goes when it
// fills a pack or when one of the two has ended. If the last pack had several members, others are about to
// come: then a pack waits for as many, but not long. So one writer alone never waits, and of many each pack
// takes as many as come during a PUT.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace cider::chunk {

// Not thread-safe.
template <class Item>
class PackLane {
 public:
  using Time = Monotonic::time_point;
  struct Limits {
    uint64_t bytes = 0;
    size_t members = 0;
  };
  static constexpr int kMostPuts = 2;
  static constexpr Monotonic::duration kLongestWait = std::chrono::milliseconds(2);

  explicit PackLane(Limits limits) : limits_(limits) {}

  void add(Item item, uint64_t bytes, Time now) {
    if (waiting_.empty()) gathering_since_ = now;
    waiting_.push_back({std::move(item), bytes});
    bytes_ += bytes;
  }

  // What goes into the next pack, whose PUT is then under way until put_ended(); nothing if nothing goes now.
  std::vector<Item> take(Time now) {
    std::vector<Item> out;
    if (!is_full() && (puts_ >= kMostPuts || waiting_.empty() || now < due())) return out;
    uint64_t bytes = 0;
    while (!waiting_.empty() && out.size() < limits_.members &&
           (out.empty() || bytes + waiting_.front().bytes <= limits_.bytes)) {
      bytes += waiting_.front().bytes;
      out.push_back(std::move(waiting_.front().item));
      waiting_.pop_front();
    }
    bytes_ -= bytes;
    last_members_ = out.size();
    gathering_since_ = now;
    ++puts_;
    return out;
  }

  // When take() is to be tried again although nothing new has come or ended.
  std::optional<Time> next_look() const {
    if (puts_ >= kMostPuts || waiting_.empty()) return std::nullopt;
    return due();
  }

  // `took`: nothing if the PUT was not made after all.
  void put_ended(Time now, std::optional<Monotonic::duration> took) {
    if (puts_-- == kMostPuts) gathering_since_ = now;
    if (took) put_time_ = put_time_ == Monotonic::duration{} ? *took : (put_time_ * 7 + *took) / 8;
  }

  size_t waiting() const { return waiting_.size(); }
  int puts() const { return puts_; }

 private:
  struct Waiting {
    Item item;
    uint64_t bytes;
  };
  bool is_full() const { return bytes_ >= limits_.bytes || waiting_.size() >= limits_.members; }
  Time due() const {
    if (last_members_ <= 1 || waiting_.size() >= last_members_) return gathering_since_;
    return gathering_since_ + std::min(kLongestWait, put_time_ / 10);
  }

  const Limits limits_;
  std::deque<Waiting> waiting_;
  uint64_t bytes_ = 0;
  int puts_ = 0;
  size_t last_members_ = 0;
  Time gathering_since_{};  // the later of: the oldest of the waiting came, a PUT could begin
  Monotonic::duration put_time_{};
};

}  // namespace cider::chunk
