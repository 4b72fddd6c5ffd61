// One connection to the server, shared by many threads.
//
// Who finds it idle sends and receives by itself: one request under way costs two system calls and wakes
// nobody. Requests that come while another thread sends are sent by it together; while one thread receives,
// it hands the others their replies, and passes the receiving on when it has its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "meta/store/redis/resp.h"
#include "meta/store/redis/socket.h"

namespace cider::meta::redis {

// Thread-safe.
class Connection {
 public:
  explicit Connection(std::unique_ptr<Socket> socket);

  // Sends the commands and waits for their replies, error replies among them. An error means that the
  // connection is of no use any more; whether the commands ran is unknown.
  Result<std::vector<Reply>> call(const Commands& commands);
  bool broken();
  // Ends it: calls under way fail.
  void close();
  size_t load();  // requests under way

 private:
  struct Request {
    std::string_view bytes;
    size_t wanted;
    std::vector<Reply> replies;
    bool done = false;
    std::condition_variable wake;
  };

  void send_all(std::unique_lock<std::mutex>& lock, const Request& own);
  void receive(std::unique_lock<std::mutex>& lock);
  void break_down(Error error);

  const std::unique_ptr<Socket> socket_;
  std::mutex mutex_;
  std::deque<Request*> outbox_;
  std::deque<Request*> waiting_;  // sent, in order
  bool sending_ = false;
  bool receiving_ = false;
  std::optional<Error> error_;
  ReplyReader reader_;
  std::vector<char> input_;
};

}  // namespace cider::meta::redis
