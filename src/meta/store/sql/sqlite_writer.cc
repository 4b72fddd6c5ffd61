#include "meta/store/sql/sqlite_writer.h"

#include <algorithm>
#include <chrono>

namespace cider::meta::sqlite {

namespace {

// A group ends when its queue is empty, or after this many works or this time: the first must not wait long for the last.
constexpr size_t kGroupLimit = 256;
constexpr std::chrono::milliseconds kGroupTime{5};

}  // namespace

Writer::Writer(std::unique_ptr<Connection> db) : db_(std::move(db)), changes_(*db_), group_limit_(kGroupLimit) {}

Status Writer::run(Work work, std::stop_token stop) {
  Request request{work, stop, {}, Request::State::queued, {}};
  // Declared before the lock, so that it is unregistered after the lock was released: its callback takes the lock.
  std::stop_callback on_stop(stop, [&] {
    std::lock_guard lock(mutex_);
    request.wake.notify_one();
  });
  std::unique_lock lock(mutex_);
  queue_.push_back(&request);
  if (led_) {
    request.wake.wait(lock, [&] {
      bool interrupted = request.state == Request::State::queued && stop.stop_requested();
      return request.state == Request::State::leads || request.state == Request::State::done || interrupted;
    });
    if (request.state == Request::State::done) return std::move(request.answer);
    if (request.state == Request::State::queued) {
      std::erase(queue_, &request);
      return fail(EINTR);
    }
  }
  led_ = true;
  lead(lock, request);
  return std::move(request.answer);
}

void Writer::lead(std::unique_lock<std::mutex>& lock, const Request& own) {
  while (own.state != Request::State::done) {
    lock.unlock();
    serve_group();
    lock.lock();
  }
  led_ = !queue_.empty();
  if (!led_) return;
  queue_.front()->state = Request::State::leads;
  queue_.front()->wake.notify_one();
}

Writer::Request* Writer::take() {
  std::lock_guard lock(mutex_);
  if (queue_.empty()) return nullptr;
  Request* request = queue_.front();
  queue_.pop_front();
  request->state = Request::State::taken;
  return request;
}

// Wakes them; afterwards they may be gone.
void Writer::answer(std::vector<Request*>& requests, const Status* status) {
  std::lock_guard lock(mutex_);
  for (Request* request : requests) {
    if (status) request->answer = *status;
    request->state = Request::State::done;
    request->wake.notify_one();
  }
  requests.clear();
}

void Writer::serve_group() {
  pace_.wait();
  if (auto begun = db_->execute("BEGIN IMMEDIATE"); !begun) return fail_all(begun.error());
  std::vector<Request*> group;
  if (Status looked = pace_.look_around(*db_); !looked) {
    db_->rollback();
    return fail_all(looked.error());
  }
  auto end = std::chrono::steady_clock::now() + kGroupTime;
  while (group.size() < group_limit_ && std::chrono::steady_clock::now() < end) {
    Request* request = take();
    if (!request) break;
    Turn turn{*db_, changes_};
    request->answer = request->stop.stop_requested() ? Status(fail(EINTR)) : request->work(turn);
    // Some errors (disk full, I/O) make SQLite roll back by itself, with everything before.
    bool lost = !db_->in_transaction() || (!request->answer && turn.wrote);
    if (lost) return undo(group, request);
    group.push_back(request);
  }
  group_limit_ = kGroupLimit;
  commit(group);
  pace_.finished();
}

void Writer::commit(std::vector<Request*>& group) {
  Status committed = changes_.flush();
  if (committed) {
    if (auto result = db_->execute("COMMIT"); !result) committed = fail(result.error());
  }
  if (!committed) {
    db_->rollback();
    changes_.discard();
  }
  answer(group, committed ? nullptr : &committed);
}

// A work failed when it had written already. Those before it are repeated as a group of their own; it comes next, as the first of
// the group after, where its error is its own and undoes nobody else's changes.
void Writer::undo(std::vector<Request*>& group, Request* failed) {
  db_->rollback();
  changes_.discard();
  pace_.finished();
  if (group.empty()) {
    group_limit_ = kGroupLimit;
    if (failed->answer) failed->answer = fail(EIO, "the database ended a transaction without a reason");
    group.push_back(failed);
    answer(group, nullptr);
    return;
  }
  group_limit_ = group.size();
  group.push_back(failed);
  std::lock_guard lock(mutex_);
  for (Request* request : group) request->state = Request::State::queued;
  queue_.insert(queue_.begin(), group.begin(), group.end());
}

void Writer::fail_all(const Error& error) {
  std::vector<Request*> requests;
  while (Request* request = take()) requests.push_back(request);
  Status status = fail(error);
  answer(requests, &status);
}

}  // namespace cider::meta::sqlite
