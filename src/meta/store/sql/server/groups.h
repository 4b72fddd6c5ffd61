// Operations of one client that change the same directory or file share a transaction: else each would wait
// for the other's commit, which holds the row.
//
// Callers lead in turn (store/turns.h), with a queue for each directory or file.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "base/types.h"
#include "meta/store/sql/server/pool.h"
#include "meta/store/sql/server/prediction.h"
#include "meta/store/store.h"
#include "meta/store/turns.h"

namespace cider::meta::sql::server {

// An operation on its caller's stack, until it is answered.
struct Request : Waiter {
  Request(Operation work, Prediction foreseen, std::stop_token stopping)
      : Waiter(std::move(stopping)), operation(work), prediction(std::move(foreseen)) {}

  Operation operation;
  Prediction prediction;
  bool deferred = false;  // not served: what it read is changed by others of its group
};

// Thread-safe.
class Groups {
 public:
  // Answers each request of a group, or defers it: to the next group, whose first it is. The first is never
  // deferred.
  using Serve = FunctionRef<void(Pool::Lease lease, std::vector<Request*>& group)>;
  // Before a group is taken: those who wait can still be interrupted.
  using Acquire = FunctionRef<Result<Pool::Lease>()>;

  // Returns when the request is answered; by `serve`, called here or by another caller with this key. EINTR
  // if `stop` is requested while it waits.
  void run(Ino key, Request* request, Acquire acquire, Serve serve);

 private:
  struct Queue {
    std::deque<Request*> waiting;
    bool led = false;
  };
  void lead(Ino key, Request* own, Acquire acquire, Serve serve);
  std::vector<Request*> take(Ino key);
  bool finish(Ino key, const std::vector<Request*>& group, const Request* own);

  std::mutex mutex_;
  std::unordered_map<Ino, Queue> queues_;
};

}  // namespace cider::meta::sql::server
