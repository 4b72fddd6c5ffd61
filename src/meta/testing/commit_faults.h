// What may happen to a commit on its way through a proxy. For tests only.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace cider::meta::testing {

// Thread-safe.
class CommitFaults {
 public:
  enum class Fault {
    none,
    lose_reply,   // the server runs it, and the connection ends before its reply
    hold_request  // the connection ends, and the request is on its way until deliver_held()
  };

  // Happens to a commit that comes, the one after `skip` others. `then` runs when it has happened, before the
  // client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {}, int skip = 0);
  bool has_struck() const { return struck_; }
  void deliver_held();  // and waits until the server has answered

 protected:
  // Takes from a server what it answers to a request, to its end.
  using TakeAnswer = std::function<void(int server)>;
  // Hands a request on to the server, as far as no fault strikes it. Whether the connection goes on.
  bool pass_request(UniqueFd& server, std::string bytes, bool commits, const TakeAnswer& take_answer);

 private:
  struct Held {
    UniqueFd server;
    std::string bytes;
    TakeAnswer take_answer;
  };
  Fault next();

  std::atomic<bool> struck_{false};
  std::mutex mutex_;
  Fault fault_ = Fault::none;
  int skip_ = 0;
  std::function<void()> then_;
  std::vector<Held> held_;
};

}  // namespace cider::meta::testing
