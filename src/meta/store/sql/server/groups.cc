#include "meta/store/sql/server/groups.h"

#include <algorithm>

namespace cider::meta::sql::server {
namespace {

// The first must not wait long for the last, and others wait for the rows.
constexpr size_t kGroupLimit = 64;

}  // namespace

void Groups::run(Ino key, Request* request, Acquire acquire, Serve serve) {
  bool leads;
  {
    std::lock_guard lock(mutex_);
    Queue& queue = queues_[key];
    queue.waiting.push_back(request);
    leads = !queue.led;
    queue.led = true;
  }
  const auto withdraw = [&] { return std::erase(queues_[key].waiting, request) == 1; };
  if (leads || wait_for_turn(*request, mutex_, withdraw)) lead(key, request, acquire, serve);
}

std::vector<Request*> Groups::take(Ino key) {
  std::lock_guard lock(mutex_);
  auto& waiting = queues_[key].waiting;
  const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(std::min(waiting.size(), kGroupLimit));
  std::vector<Request*> group(waiting.begin(), end);
  waiting.erase(waiting.begin(), end);
  return group;
}

// Whether `own` is done.
bool Groups::finish(Ino key, const std::vector<Request*>& group, const Request* own) {
  bool done = false;
  std::vector<Request*> deferred;
  for (Request* request : group) {
    if (request->deferred) {
      request->deferred = false;
      deferred.push_back(request);
    } else if (request == own) {
      done = true;
    } else {
      request->set(Waiter::State::done);  // afterwards it may be gone
    }
  }
  std::lock_guard lock(mutex_);
  auto& waiting = queues_[key].waiting;
  waiting.insert(waiting.begin(), deferred.begin(), deferred.end());
  return done;
}

void Groups::lead(Ino key, Request* own, Acquire acquire, Serve serve) {
  for (bool done = false; !done;) {
    auto lease = acquire();
    if (!lease) {
      own->answer = fail(std::move(lease).error());
      std::lock_guard lock(mutex_);
      std::erase(queues_[key].waiting, own);
      break;
    }
    std::vector<Request*> group = take(key);
    serve(*std::move(lease), group);
    done = finish(key, group, own);
  }
  std::lock_guard lock(mutex_);
  Queue& queue = queues_[key];
  if (queue.waiting.empty()) {
    queues_.erase(key);
  } else {
    queue.waiting.front()->set(Waiter::State::leads);
  }
}

}  // namespace cider::meta::sql::server
