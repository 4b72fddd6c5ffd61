#include "meta/store/kv/runner.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "meta/store/kv/ask_ahead.h"

namespace cider::meta::kv {
namespace {

constexpr int kTriesTogether = 3;
// A conflict has shown the present values, which a pause makes old again: so it is short, and only keeps
// clients from running in step.
constexpr int kTriesAtOnce = 6;
constexpr int kLongestPause = 4000;               // microseconds
constexpr std::chrono::milliseconds kGrace{500};  // for the answer to a commit, after an interruption

}  // namespace

Runner::Runner(Database& database, Made made)
    : database_(database),
      limits_(database.limits()),
      made_(std::move(made)),
      queue_(database.exclusive() != nullptr),
      random_(std::random_device{}()) {}

void Runner::Fate::decide(bool made) {
  std::lock_guard lock(mutex_);
  made_ = made;
  for (const auto& then : std::exchange(then_, {})) {
    if (made) then(true);
  }
}

void Runner::Fate::if_made(Then then) {
  std::lock_guard lock(mutex_);
  if (!made_) {
    then_.push_back(std::move(then));
  } else if (*made_) {
    then(true);
  }
}

Status Runner::run(Work work, std::stop_token stop, Then then) {
  if (database_.read_only()) return fail(EROFS, database_.describe() + " was opened for reading only");
  Request request(work, std::move(stop), std::move(then));
  queue_.run(&request, [&] { serve_group(request); });
  if (!request.fate) return std::move(request.answer);
  if (request.then && request.changes) request.fate->if_made(request.then);
  return fail(EIO, "it is not known whether a change was made: " + request.answer.error().to_string());
}

void Runner::give_back(Group& group, size_t from) {
  if (from >= group.size()) return;
  queue_.give_back(std::span(group).subspan(from));
  group.resize(from);
}

void Runner::drop_stopped(Group* group) {
  Group stopped;
  std::erase_if(*group, [&](Request* request) {
    if (!request->stop.stop_requested()) return false;
    stopped.push_back(request);
    return true;
  });
  const Status interrupted = fail(EINTR);
  queue_.answer_all(stopped, &interrupted);
}

void Runner::serve_group(const Request& own) {
  Group group = queue_.take(limits_.group);
  for (int tries = 0; !group.empty();) {
    if (tries > kTriesTogether) give_back(group, 1);
    if (tries > kTriesAtOnce) back_off(tries - kTriesAtOnce);
    drop_stopped(&group);
    if (own.is_done()) give_back(group, 0);  // its caller is not to wait with the others
    if (group.empty()) return;
    Result<std::optional<Committed>> outcome = std::nullopt;
    if (database_.exclusive()) {  // never waits
      outcome = attempt(&group, {});
    } else {
      std::stop_source any;  // of the group
      const std::function<void()> pass_on = [&] { any.request_stop(); };
      std::deque<std::stop_callback<std::function<void()>>> watches;
      for (const Request* request : group) {
        if (request->stop.stop_possible()) watches.emplace_back(request->stop, pass_on);
      }
      const LateStop late(any.get_token(), kGrace);
      outcome = attempt_or_settle(&group, {any.get_token(), late.token()});
    }
    if (!outcome && outcome.error().code == EINTR) continue;  // whoever was meant is dropped
    if (!outcome) {
      const Status failed = fail(outcome.error());
      return queue_.answer_all(group, &failed);
    }
    if (!*outcome) continue;
    if (**outcome == Committed::done) {
      tell(group);
      return queue_.answer_all(group, nullptr);
    }
    ++tries;
    ++conflicts_;
  }
}

void Runner::tell(const Group& group) {
  for (const Request* request : group) {
    if (request->answer && request->then) request->then(false);
  }
}

// Nothing: go on with what is left of the group.
Result<std::optional<Committed>> Runner::attempt_or_settle(Group* group, const Interrupt& stop) {
  if (unsettled_) return settle(group, stop);
  const auto outcome = TRY(attempt(group, stop));
  if (outcome != Committed::unknown) return outcome;
  unsettled_ = std::make_shared<Fate>();
  for (Request* request : *group) {
    request->fate = unsettled_;
    request->changes = request->answer.has_value();
  }
  if (stop.now.stop_requested()) return std::nullopt;
  return fail(ETIMEDOUT, database_.describe() + " does not answer");
}

// Those that were in the commit are all in the group, but for the ones that have been interrupted.
Result<std::optional<Committed>> Runner::settle(Group* group, const Interrupt& stop) {
  const auto was_in_it = [&](const Request* request) { return request->fate == unsettled_; };
  const bool made = TRY(database_.settle(std::ranges::any_of(*group, was_in_it) ? stop.late : stop.now));
  const auto settled = std::exchange(unsettled_, nullptr);
  if (made && made_) made_(unsettled_changes_);
  unsettled_changes_ = {};
  settled->decide(made);
  Group in_it;
  std::erase_if(*group, [&](Request* request) {
    if (request->fate != settled) return false;
    request->fate.reset();
    if (made) in_it.push_back(request);
    return made;
  });
  tell(in_it);
  queue_.answer_all(in_it, nullptr);
  return std::nullopt;
}

// Runs as many as fit into one commit, the others go back into the queue.
Result<std::optional<Committed>> Runner::attempt(Group* group, const Interrupt& stop) {
  // With the lock nobody else changes anything meanwhile, so what is seen needs no checks.
  std::mutex* const exclusive = database_.exclusive();
  std::unique_lock<std::mutex> lock;
  if (exclusive) lock = std::unique_lock(*exclusive);
  const std::unique_ptr<View> view = TRY(database_.working_view(stop.now));
  Workspace space(*view, exclusive == nullptr, limits_.deletes_ranges);
  if (!exclusive && group->size() > 1) {
    std::vector<Work> works;
    for (const Request* request : *group) works.push_back(request->work);
    TRY(ask_ahead(works, *view, &space));
  }
  for (size_t i = 0; i < group->size(); ++i) {
    Request& request = *(*group)[i];
    space.begin();
    request.answer = request.work(space);
    TRY(space.view_status());
    const bool fits = space.parts() <= limits_.parts && space.bytes() <= limits_.bytes && !space.overlaps();
    if (!request.answer || !fits) space.undo();
    if (fits) continue;
    if (i == 0) {
      give_back(*group, 1);
      if (request.answer) {  // else what bore out the error is taken on trust
        request.answer = fail(EIO, "a change is larger than what " + database_.describe() +
                                       " commits at once: nothing was changed");
      }
      return Committed::done;
    }
    give_back(*group, i);
    return std::nullopt;  // the one that did not fit left its checks behind
  }
  if (exclusive && space.changes().empty()) return Committed::done;
  const Committed committed = TRY(database_.commit(*view, space.checks(), space.changes(), stop));
  if (committed == Committed::done && made_) made_(space.changes());
  if (committed == Committed::unknown) unsettled_changes_ = space.changes();
  return committed;
}

void Runner::back_off(int tries) {
  const int most = std::min(100 << std::min(tries, 10), kLongestPause);
  std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution<>(0, most)(random_)));
}

}  // namespace cider::meta::kv
