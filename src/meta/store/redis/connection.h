// One connection to the server, shared by many threads.
//
// Who finds it idle sends and receives by itself: one request under way costs two system calls and wakes
// nobody. Requests that come while another thread sends are sent by it together; while one thread receives,
// it hands the others their replies, and passes the receiving on when it has its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "meta/store/redis/resp.h"
#include "meta/store/redis/socket.h"

namespace cider::meta::redis {

// Thread-safe.
class Connection {
 public:
  // It breaks when a reply takes longer than `read_timeout`.
  Connection(std::unique_ptr<Socket> socket, std::chrono::milliseconds read_timeout);

  // Sends the commands and waits for their replies, error replies among them. An error means that the
  // connection is of no use any more; whether the commands ran is unknown. When `stop` is requested while the
  // server is silent, the connection is given up, soon and with everybody's calls.
  Result<std::vector<Reply>> call(const Commands& commands, std::stop_token stop = {});
  // For a connection on which the server speaks unasked: used by one thread alone, and not with call() any
  // more.
  Status post(const Commands& commands);
  // What has come, or nothing if nothing comes within `limit`.
  Result<std::optional<Reply>> await(std::chrono::milliseconds limit);
  bool broken();
  // Ends it: calls under way fail.
  void close();
  size_t load();  // requests under way

 private:
  struct Request {
    std::string_view bytes;
    size_t wanted;
    std::stop_token stop;
    std::vector<Reply> replies;
    bool done = false;
    std::condition_variable wake;
  };

  void send_all(std::unique_lock<std::mutex>& lock, const Request& own);
  void receive(std::unique_lock<std::mutex>& lock);
  void on_silence();
  void break_down(Error error);

  const std::unique_ptr<Socket> socket_;
  const std::chrono::milliseconds read_timeout_;
  std::mutex mutex_;
  std::deque<Request*> outbox_;
  std::deque<Request*> waiting_;                         // sent, in order
  std::chrono::steady_clock::time_point waiting_since_;  // for the next bytes of a reply
  bool sending_ = false;
  bool receiving_ = false;
  std::optional<Error> error_;
  ReplyReader reader_;
  std::vector<char> input_;
};

}  // namespace cider::meta::redis
