#include "meta/store/redis/connection.h"

#include <algorithm>

namespace cider::meta::redis {
namespace {
using std::chrono::steady_clock;
constexpr size_t kInputSize = 64 << 10;
// How long a silent server keeps an interrupted caller.
constexpr std::chrono::milliseconds kLook{500};
}  // namespace

Connection::Connection(std::unique_ptr<Socket> socket, std::chrono::milliseconds read_timeout)
    : socket_(std::move(socket)), read_timeout_(read_timeout), input_(kInputSize) {}

bool Connection::broken() {
  std::lock_guard lock(mutex_);
  return error_.has_value();
}

void Connection::close() {
  std::lock_guard lock(mutex_);
  break_down({ECONNRESET, "the connection was given up"});
}

size_t Connection::load() {
  std::lock_guard lock(mutex_);
  return outbox_.size() + waiting_.size();
}

Result<std::vector<Reply>> Connection::call(const Commands& commands, std::stop_token stop) {
  Request request{commands.bytes(), commands.count(), std::move(stop), {}, false, {}};
  std::unique_lock lock(mutex_);
  if (error_) return fail(*error_);
  outbox_.push_back(&request);
  if (!sending_) send_all(lock, request);
  while (!request.done) {
    if (receiving_ || waiting_.empty()) {  // or it is still with its sender, who receives next
      request.wake.wait(lock);
    } else {
      receive(lock);
    }
  }
  // Somebody has to receive for those who still wait.
  if (!receiving_ && !waiting_.empty()) waiting_.front()->wake.notify_one();
  if (request.replies.size() < request.wanted) return fail(*error_);
  return std::move(request.replies);
}

Status Connection::post(const Commands& commands) {
  return socket_->send(commands.bytes());
}

Result<std::optional<Reply>> Connection::await(std::chrono::milliseconds limit) {
  if (auto ready = TRY(reader_.next())) return ready;
  socket_->expect_silence();
  const size_t n = TRY(socket_->receive(input_, limit));
  if (n == 0) return std::optional<Reply>{};
  TRY(reader_.feed({input_.data(), n}));
  return reader_.next();
}

// Others' bytes are copied: a connection that breaks meanwhile lets their owners go.
void Connection::send_all(std::unique_lock<std::mutex>& lock, const Request& own) {
  sending_ = true;
  std::string together;
  while (!outbox_.empty()) {
    std::string_view bytes = outbox_.front()->bytes;
    if (outbox_.size() > 1 || outbox_.front() != &own) {
      together.clear();
      for (const Request* request : outbox_) together += request->bytes;
      bytes = together;
    }
    if (waiting_.empty()) waiting_since_ = steady_clock::now();
    waiting_.insert(waiting_.end(), outbox_.begin(), outbox_.end());
    outbox_.clear();
    lock.unlock();
    Status sent = socket_->send(bytes);
    lock.lock();
    if (!sent) break_down(sent.error());
  }
  sending_ = false;
}

void Connection::receive(std::unique_lock<std::mutex>& lock) {
  receiving_ = true;
  lock.unlock();
  auto n = socket_->receive(input_, std::min(kLook, read_timeout_));
  lock.lock();
  receiving_ = false;
  if (!n) return break_down(n.error());
  if (*n == 0) return on_silence();
  waiting_since_ = steady_clock::now();
  if (Status fed = reader_.feed({input_.data(), *n}); !fed) return break_down(fed.error());
  while (!waiting_.empty()) {
    auto reply = reader_.next();
    if (!reply) return break_down(reply.error());
    if (!*reply) return;
    Request* first = waiting_.front();
    first->replies.push_back(**std::move(reply));
    if (first->replies.size() < first->wanted) continue;
    waiting_.pop_front();
    first->done = true;
    first->wake.notify_one();
  }
}

void Connection::on_silence() {
  if (steady_clock::now() - waiting_since_ >= read_timeout_)
    return break_down({ETIMEDOUT, "Redis did not answer in time"});
  const auto stopped = [](const Request* request) { return request->stop.stop_requested(); };
  if (std::ranges::any_of(waiting_, stopped))
    break_down({ECONNRESET, "the connection was given up, with an interrupted call on it"});
}

void Connection::break_down(Error error) {
  if (!error_) error_ = std::move(error);
  socket_->shut_down();
  for (std::deque<Request*>* queue : {&waiting_, &outbox_}) {
    for (Request* request : *queue) {
      request->done = true;
      request->wake.notify_one();
    }
    queue->clear();
  }
}

}  // namespace cider::meta::redis
