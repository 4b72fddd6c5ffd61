#include "meta/testing/commit_faults.h"

#include <utility>

#include "base/testing/sockets.h"

namespace cider::meta::testing {

using cider::testing::send_all;

void CommitFaults::strike(Fault fault, std::function<void()> then, int skip) {
  std::lock_guard lock(mutex_);
  struck_ = false;
  fault_ = fault;
  skip_ = skip;
  then_ = std::move(then);
}

CommitFaults::Fault CommitFaults::next() {
  std::lock_guard lock(mutex_);
  if (fault_ == Fault::none || skip_-- > 0) return Fault::none;
  return std::exchange(fault_, Fault::none);
}

void CommitFaults::deliver_held() {
  std::vector<Held> held;
  {
    std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (const Held& h : held) {
    if (send_all(h.server.get(), h.bytes)) h.take_answer(h.server.get());
  }
}

bool CommitFaults::pass_request(UniqueFd& server, std::string bytes, bool commits,
                                const TakeAnswer& take_answer) {
  const Fault fault = commits ? next() : Fault::none;
  if (fault != Fault::hold_request && !send_all(server.get(), bytes)) return false;
  if (fault == Fault::none) return true;
  if (fault == Fault::lose_reply) take_answer(server.get());
  std::function<void()> then;
  {
    std::lock_guard lock(mutex_);
    then = std::exchange(then_, nullptr);
    if (fault == Fault::hold_request) held_.push_back({std::move(server), std::move(bytes), take_answer});
  }
  if (then) then();
  struck_ = true;
  return false;
}

}  // namespace cider::meta::testing
