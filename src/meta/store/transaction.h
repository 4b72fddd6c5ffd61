// The seam between operations and engines.
//
// An operation is a pure function of what it reads. It asks for typed records (reads.h), fetches them in
// flights, checks them, and names its writes (writes.h). It has no other effect and may run several times.
// How its read set is held true until the commit is the engine's business: one server-side script, guards in
// a pipeline, an exclusive lock, a version check.
#pragma once

#include <cstddef>
#include <deque>
#include <ranges>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta {

// The engine's side of a running transaction: answers questions.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  // Answers these items in as few round trips as the engine can: one flight, which need not be one instant.
  virtual Status fetch(const std::vector<ReadItem*>& items) = 0;
};

// One run of an operation. Not thread-safe; lives on the stack of the engine's run().
class Transaction {
 public:
  explicit Transaction(Fetcher& fetcher) : fetcher_(fetcher) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Asks; the answer is there after the next fetch(). The reference stays valid as long as the transaction.
  template <class Item>
  Item& ask(Item item) {
    ReadItem& slot = reads_.emplace_back(std::move(item));
    return std::get<Item>(slot);
  }
  AttrRead& attr(Ino ino, Fields depends, Fields answered = field::none) {
    return ask(AttrRead{ino, depends, {}, answered});
  }
  EntryRead& entry(Ino parent, std::string_view name) {
    return ask(EntryRead{parent, std::string(name), {}});
  }
  LookupRead& lookup(Ino parent, std::string_view name, Fields depends, Fields answered = field::none) {
    return ask(LookupRead{parent, std::string(name), depends, {}, {}, answered});
  }

  // Sends the questions asked since the last fetch as one flight.
  Status fetch() {
    if (fetched_ == reads_.size()) return {};
    std::vector<ReadItem*> items;
    items.reserve(reads_.size() - fetched_);
    for (; fetched_ < reads_.size(); ++fetched_) items.push_back(&reads_[fetched_]);
    return fetcher_.fetch(items);
  }

  template <class Item>
  void write(Item item) {
    writes_.emplace_back(std::move(item));
  }

  // The read set: what was asked and fetched. A question that was never sent proves nothing.
  auto reads() const {
    return std::ranges::subrange(reads_.begin(), reads_.begin() + static_cast<std::ptrdiff_t>(fetched_));
  }
  const std::vector<WriteItem>& writes() const { return writes_; }

 private:
  Fetcher& fetcher_;
  std::deque<ReadItem> reads_;
  size_t fetched_ = 0;
  std::vector<WriteItem> writes_;
};

}  // namespace cider::meta
