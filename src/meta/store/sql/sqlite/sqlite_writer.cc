#include "meta/store/sql/sqlite/sqlite_writer.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"

namespace cider::meta::sqlite {

namespace {

// A group ends when its queue is empty, or after this many works or this time: the first must not wait long
// for the last.
constexpr size_t kGroupLimit = 256;
constexpr std::chrono::milliseconds kGroupTime{5};

// A checkpoint costs two syncs and a write of every page changed since the last: the longer the log, the
// fewer of them, but the longer each and a cold start. 8000 pages are 31 MiB.
constexpr int kCheckpointPages = 8000;
constexpr std::chrono::milliseconds kCheckpointPatience{10};

}  // namespace

Writer::Writer(std::unique_ptr<Connection> db)
    : db_(std::move(db)), changes_(*db_), group_limit_(kGroupLimit), next_checkpoint_(kCheckpointPages) {}

Status Writer::run(Work work, std::stop_token stop) {
  Request request(work, std::move(stop));
  queue_.run(&request, [this] { serve_group(); });
  return std::move(request.answer);
}

void Writer::serve_group() {
  pace_.wait();
  let_others_join();
  if (auto begun = db_->execute("BEGIN IMMEDIATE"); !begun) return fail_all(begun.error());
  std::vector<Request*> group;
  if (Status looked = pace_.look_around(*db_); !looked) {
    db_->rollback();
    return fail_all(looked.error());
  }
  auto end = std::chrono::steady_clock::now() + kGroupTime;
  while (group.size() < group_limit_ && std::chrono::steady_clock::now() < end) {
    const std::vector<Request*> next = queue_.take(1);
    if (next.empty()) break;
    Request* request = next.front();
    Turn turn{*db_, changes_};
    request->answer = request->stop.stop_requested() ? Status(fail(EINTR)) : request->work(turn);
    // Some errors (disk full, I/O) make SQLite roll back by itself, with everything before.
    bool lost = !db_->in_transaction() || (!request->answer && turn.wrote);
    if (lost) return undo(group, request);
    group.push_back(request);
  }
  group_limit_ = kGroupLimit;
  crowd_ = std::max(static_cast<double>(group.size()), crowd_ * 0.95);
  commit(group);
  pace_.finished();
  checkpoint_when_due();
}

// Callers that were just answered want their next turn soon, but with more of them than processors they are
// still waiting for one. A group costs hardly more than a single work, so give them the processor once. With
// one caller nobody is expected.
void Writer::let_others_join() {
  const bool expected = static_cast<double>(queue_.size()) < crowd_ * 0.6;
  if (expected) std::this_thread::yield();
}

// Between groups: those who waited have their answers already.
void Writer::checkpoint_when_due() {
  if (db_->log_pages() < kCheckpointPages) next_checkpoint_ = kCheckpointPages;  // begun anew
  if (db_->log_pages() < next_checkpoint_) return;
  next_checkpoint_ = db_->log_pages() + kCheckpointPages;  // if it is kept by readers: not at every commit
  // The changes are committed and readable from the log, so a failure is no operation's; the next one may
  // succeed.
  auto patience =
      kCheckpointPatience * (db_->log_pages() / kCheckpointPages);  // the more, the longer readers kept it
  if (Status status = db_->checkpoint(patience); !status) {
    log::warning("checkpoint of the metadata database: " + status.error().to_string());
  }
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
  queue_.answer_all(group, committed ? nullptr : &committed);
}

// A work failed when it had written already. Those before it are repeated as a group of their own; it comes
// next, as the first of the group after, where its error is its own and undoes nobody else's changes.
void Writer::undo(std::vector<Request*>& group, Request* failed) {
  db_->rollback();
  changes_.discard();
  pace_.finished();
  if (group.empty()) {
    group_limit_ = kGroupLimit;
    if (failed->answer) failed->answer = fail(EIO, "the database ended a transaction without a reason");
    group.push_back(failed);
    queue_.answer_all(group, nullptr);
    return;
  }
  group_limit_ = group.size();
  group.push_back(failed);
  queue_.give_back(group);
}

void Writer::fail_all(const Error& error) {
  std::vector<Request*> requests = queue_.take(SIZE_MAX);
  const Status status = fail(error);
  queue_.answer_all(requests, &status);
}

}  // namespace cider::meta::sqlite
