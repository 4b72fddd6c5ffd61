#include "meta/store/sql/server/transactions.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "meta/store/client_usage.h"
#include "meta/store/disturbs.h"
#include "meta/store/path_walk.h"
#include "meta/store/sql/merged_changes.h"
#include "meta/store/sql/questions.h"
#include "meta/store/sql/server/locked_reads.h"
#include "meta/store/sql/server/usage_tally.h"

namespace cider::meta::sql::server {
namespace {

bool is_usage(const WriteItem& item) {
  return std::holds_alternative<AddUsage>(item) || std::holds_alternative<AddDirStat>(item) ||
         std::holds_alternative<DeleteDirStat>(item);
}

}  // namespace

// Plain SELECTs. A flight of several is one instant: a transaction with one snapshot.
class Transactions::Reading final : public Fetcher {
 public:
  Reading(Transactions& owner, Pool::Lease& lease, const std::stop_token& stop)
      : owner_(owner), lease_(lease), stop_(stop) {}

  Status fetch(const std::vector<ReadItem*>& items) override {
    Status done = ask(items);
    if (!done) failure_ = done;
    return done;
  }
  const Status& failure() const { return failure_; }

 private:
  Status ask(std::vector<ReadItem*> items) {
    for (ReadItem* item : items) {
      if (auto* path = std::get_if<PathRead>(item)) TRY(walk(path));
    }
    std::erase_if(items, [](const ReadItem* item) { return std::holds_alternative<PathRead>(*item); });
    if (items.empty()) return {};
    std::vector<Statement> statements;
    const bool several = items.size() > 1;
    if (several) statements.emplace_back("{begin snapshot}");
    for (const ReadItem* item : items) statements.push_back(question(*item));
    if (several) statements.emplace_back("COMMIT");
    std::vector<Outcome> outcomes;
    TRY(lease_->flight(statements, &outcomes, stop_));
    size_t i = several ? 1 : 0;
    for (ReadItem* item : items) {
      TRY(take(item, *outcomes[i++].rows));
      owner_.hints_.remember(*item);
      owner_.usage_.complete(item);
    }
    return {};
  }
  Status walk(PathRead* path) {
    return walk_path(path, [this](LookupRead* step) -> Status {
      ReadItem item = std::move(*step);
      TRY(ask({&item}));
      *step = std::get<LookupRead>(std::move(item));
      return {};
    });
  }

  Transactions& owner_;
  Pool::Lease& lease_;
  const std::stop_token& stop_;
  Status failure_;
};

Transactions::Transactions(Driver& driver, Pool& pool, PendingUsage& usage,
                           std::function<Result<std::string>(std::stop_token)> prepare)
    : driver_(driver),
      pool_(pool),
      usage_(usage),
      prepare_(std::move(prepare)),
      client_(random_client_name()) {}

// Runs again what lost its connection before its COMMIT was sent, or was undone.
Status Transactions::until_done(const std::stop_token& stop, FunctionRef<Status(int)> once) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  for (int attempt = 0;; ++attempt) {
    if (stop.stop_requested()) return fail(EINTR);
    Status done = once(attempt);
    if (done) return done;
    const int code = done.error().code;
    if (code == kNoTable) {
      // Another client made an end of the volume, or of our own tables.
      if (attempt > 2) return fail(EIO, done.error().message);
      prepared_ = false;
    } else if (code == kRunAgain) {
      ++conflicts_;
    } else if (code != kLost) {
      return done;
    }
    if (std::chrono::steady_clock::now() > end) return fail(ETIMEDOUT, done.error().message);
    if (attempt > 0 && !back_off(attempt - 1, stop)) return fail(EINTR);
  }
}

Status Transactions::read(Operation operation, std::stop_token stop) {
  return until_done(stop, [&](int) -> Status {
    Pool::Lease lease = TRY(pool_.acquire(stop));
    Reading fetcher(*this, lease, stop);
    Transaction tx(fetcher);
    const Status answer = operation(tx);
    TRY(Status(fetcher.failure()));
    if (!tx.writes().empty()) return fail(EINVAL, "an operation that only reads has writes");
    return answer;
  });
}

Status Transactions::prepare(const std::stop_token& stop) {
  if (!prepared_) {
    std::lock_guard lock(preparing_);
    if (!prepared_) {
      std::string volume = TRY(prepare_(stop));
      std::lock_guard naming(mutex_);
      volume_ = std::move(volume);
    }
    prepared_ = true;
  }
  return settle_abandoned(stop);
}

Status Transactions::run(Operation operation, std::stop_token stop) {
  return until_done(stop, [&](int attempt) -> Status {
    TRY(prepare(stop));
    Request request(operation, predict(operation, hints_), stop);
    // Locked for reading what it had to write: the prediction was wrong.
    if (attempt % 2 == 1) request.prediction.may_share = false;
    const auto busiest = request.prediction.busiest;
    if (busiest && attempt == 0) {
      groups_.run(
          *busiest, &request, [&] { return pool_.acquire(stop); },
          [this](Pool::Lease lease, std::vector<Request*>& group) { serve(std::move(lease), group); });
    } else {
      std::vector<Request*> alone = {&request};
      serve(TRY(pool_.acquire(stop)), alone);
    }
    return std::move(request.answer);
  });
}

namespace {

// Stops when all of a group want to.
class GroupStop {
 public:
  explicit GroupStop(const std::vector<Request*>& group) : left_(group.size()) {
    for (Request* request : group) {
      if (!request->stop.stop_possible()) return;
    }
    for (Request* request : group) callbacks_.emplace_back(request->stop, Count{this});
  }
  std::stop_token token() const { return callbacks_.empty() ? std::stop_token() : source_.get_token(); }

 private:
  struct Count {
    GroupStop* owner;
    void operator()() const {
      if (owner->left_.fetch_sub(1) == 1) owner->source_.request_stop();
    }
  };
  std::atomic<size_t> left_;
  std::stop_source source_;
  std::deque<std::stop_callback<Count>> callbacks_;
};

// An operation that has run, and whose writes wait for the commit.
struct Work {
  Request* request;
  std::unique_ptr<Transaction> tx;
};

std::vector<Change> changes_of(const std::vector<Work>& works, const Dialect& dialect,
                               MergedChanges* merged) {
  for (const Work& work : works) merged->add(work.tx->writes());
  std::vector<Change> changes;
  merged->append_to(&changes, {dialect});
  return changes;
}

bool is_disturbed(const Transaction& tx, const std::vector<Work>& before) {
  for (const Work& work : before) {
    for (const WriteItem& write : work.tx->writes()) {
      for (const ReadItem& read : tx.reads()) {
        if (disturbs(write, read)) return true;
      }
    }
  }
  return false;
}

}  // namespace

void Transactions::serve(Pool::Lease lease, std::vector<Request*>& group) {
  const GroupStop stop(group);
  Prediction prediction = group.front()->prediction;
  for (Request* request : group) add_prediction(request->prediction, &prediction);
  Attempt attempt{lease.member().slot, ++seq_, {}, {}, {}};
  LockedReads reads(lease, prediction, hints_, usage_, client_, attempt.seq, stop.token());
  std::vector<Work> works;
  for (Request* request : group) {
    request->answer = fail(kRunAgain);
    if (!reads.failure()) continue;
    auto tx = std::make_unique<Transaction>(reads);
    const Status answer = request->operation(*tx);
    if (!reads.failure()) {
      request->answer = reads.failure();
      continue;
    }
    if (is_disturbed(*tx, works)) {
      request->deferred = true;
      continue;
    }
    request->answer = answer;
    if (!answer || tx->writes().empty()) continue;
    const std::vector<uint64_t> slices = new_slices(*tx);
    if (was_committed(slices))
      request->answer = fail(kCommittedBefore);
    else
      request->answer = reads.prepare_writes(tx->writes());
    if (!request->answer) continue;
    for (const WriteItem& item : tx->writes()) {
      if (is_usage(item)) attempt.usage.push_back(item);
    }
    attempt.slices.insert(attempt.slices.end(), slices.begin(), slices.end());
    works.push_back({request, std::move(tx)});
  }
  if (!reads.failure() || works.empty()) {
    for (Work& work : works) work.request->answer = fail(kRunAgain, reads.failure().error().message);
    if (lease->is_usable()) lease->roll_back();
    return;
  }
  MergedChanges merged;
  std::vector<Change> changes = changes_of(works, driver_.dialect(), &merged);
  if (const UsageRead usage = usage_of(attempt.usage); !is_zero(usage))
    changes.push_back(add_to_total(usage, client_, attempt.slot));
  int taken = 0;
  Status committed = commit(std::move(lease), changes, std::move(attempt), stop.token(), &taken);
  if (!committed && committed.error().code == EEXIST) {
    // Of several operations, whose key it was shows when they run again, each alone.
    committed = fail(works.size() > 1 || taken == 0 ? kRunAgain : taken, committed.error().message);
  }
  for (Work& work : works) {
    work.request->answer = committed;
    if (committed) learn(*work.tx);
  }
}

void Transactions::learn(const Transaction& tx) {
  for (const WriteItem& item : tx.writes()) {
    const auto* patch = std::get_if<PatchNode>(&item);
    if (patch && patch->after && *patch->after)
      hints_.remember(patch->ino, **patch->after);
    else
      hints_.apply(item);
  }
}

// Only this client's other flushes lock its row, and others if they take it for dead.
void Transactions::add_tally(Lock lock, std::vector<Statement>* out) {
  out->push_back(tally_row(client_, sid_, volume()));
  out->push_back(ask_counted(client_));
  out->push_back(ask_totals(client_));
  out->back().lock = lock;
}

// Sends the statements, which end with those of add_tally(). After an error there is no transaction.
Result<Transactions::Tally> Transactions::ask_tally(Pool::Lease& lease, std::span<const Statement> statements,
                                                    const std::stop_token& stop) {
  std::vector<Outcome> outcomes;
  Tally tally;
  const Status asked = [&]() -> Status {
    TRY(lease->flight(statements, &outcomes, stop));
    tally.counted = TRY(take_sum(*outcomes[outcomes.size() - 2].rows));
    tally.total = TRY(take_sum(*outcomes[outcomes.size() - 1].rows));
    return {};
  }();
  if (asked) return tally;
  if (lease->is_usable()) lease->roll_back();
  return fail(asked.error());
}

// With what others have counted for this client, or a flush of its own whose end it was not told.
void Transactions::counted(const Tally& tally) {
  std::lock_guard lock(mutex_);
  const bool began_anew = is_zero(tally.counted) && !is_zero(counted_);  // its rows were removed
  usage_.counted(began_anew ? usage_.pending() : difference(tally.total, counted_));
  counted_ = tally.total;
}

Status Transactions::write_usage(const UsageSums& sums, std::stop_token stop) {
  return until_done(stop, [&](int) -> Status {
    TRY(prepare(stop));
    Pool::Lease lease = TRY(pool_.acquire(stop));
    Attempt attempt{lease.member().slot, ++seq_, {}, {}, {}};
    for (const auto& [ino, delta] : sums.dirs)
      attempt.returned.push_back(AddDirStat{ino, {-delta.length, -delta.space, -delta.inodes}});
    std::vector<Statement> statements;
    LockedReads::add_beginning(client_, attempt.slot, attempt.seq, &statements);
    add_tally(Lock::none, &statements);
    const Tally tally = TRY(ask_tally(lease, statements, stop));
    std::vector<Change> changes;
    add_usage_changes({0, 0, sums.dirs}, &changes);
    add_counting(tally.total, difference(tally.total, tally.counted), client_, &changes);
    int taken = 0;
    TRY(commit(std::move(lease), changes, std::move(attempt), stop, &taken));
    counted(tally);
    return {};
  });
}

Status Transactions::commit(Pool::Lease lease, std::vector<Change>& changes, Attempt attempt,
                            const std::stop_token& stop, int* taken) {
  std::vector<Statement> statements;
  for (Change& change : changes) statements.push_back(std::move(change.statement));
  statements.emplace_back("COMMIT");
  std::vector<Outcome> outcomes;
  Status sent = lease->flight(statements, &outcomes, stop);
  if (sent) {
    committed(attempt);
    for (size_t i = 0; i < changes.size(); ++i) {
      TRY(check(changes[i], outcomes[i].changed));
      if (changes[i].answers) TRY(take(changes[i], *outcomes[i].rows));
    }
    return {};
  }
  const int code = sent.error().code;
  if (code == kLost || code == EINTR) {
    lease.member().slot_is_open = true;
    {
      const Pool::Lease dropped = std::move(lease);
    }
    if (code == kLost) return find_out(std::move(attempt), stop);
    abandon(std::move(attempt));
    return fail(EINTR);
  }
  if (lease->is_usable()) lease->roll_back();
  if (code == EEXIST && outcomes.size() < changes.size()) *taken = changes[outcomes.size()].taken;
  return sent;
}

void Transactions::committed(const Attempt& attempt) {
  for (const WriteItem& item : attempt.usage) usage_.add(item);
}

Status Transactions::find_out(Attempt attempt, const std::stop_token& stop) {
  auto made = was_made(attempt, stop);
  if (!made) {
    const int code = made.error().code;
    abandon(std::move(attempt));
    if (code == EINTR || code == ETIMEDOUT) return fail(std::move(made).error());
    return fail(EIO, "whether a commit was made is not known: " + made.error().message);
  }
  pool_.free_slot(attempt.slot);
  if (!*made) return fail(kRunAgain, "the connection was lost");
  committed(attempt);
  return {};
}

// The new connection has ended the server's side of the old one (Pool), or waits here for it to end.
Result<bool> Transactions::was_made(const Attempt& attempt, const std::stop_token& stop) {
  bool made = false;
  TRY(until_done(stop, [&](int) -> Status {
    Pool::Lease lease = TRY(pool_.acquire(stop));
    std::vector<Statement> statements;
    statements.emplace_back("SELECT seq FROM cider_op WHERE client=? AND slot=?{lock}",
                            std::string_view(client_), attempt.slot);
    statements.back().lock = Lock::update;
    std::vector<Outcome> outcomes;
    TRY(lease->flight(statements, &outcomes, stop));
    Rows& rows = *outcomes.front().rows;
    made = TRY(rows.next()) && rows.integer(0) == attempt.seq;
    return {};
  }));
  return made;
}

void Transactions::abandon(Attempt attempt) {
  std::lock_guard lock(mutex_);
  abandoned_.push_back(std::move(attempt));
  any_abandoned_ = true;
}

// Two threads may be here for the same attempt: both learn how it ended.
Status Transactions::settle_abandoned(const std::stop_token& stop) {
  if (!any_abandoned_) return {};
  std::vector<Attempt> attempts;
  {
    std::lock_guard lock(mutex_);
    attempts = abandoned_;
  }
  for (Attempt& attempt : attempts) {
    const bool made = TRY(was_made(attempt, stop));
    std::lock_guard lock(mutex_);
    const auto same = [&](const Attempt& other) {
      return other.slot == attempt.slot && other.seq == attempt.seq;
    };
    if (std::erase_if(abandoned_, same) == 0) continue;
    any_abandoned_ = !abandoned_.empty();
    pool_.free_slot(attempt.slot);
    if (!made) continue;
    committed(attempt);
    for (const WriteItem& item : attempt.returned) usage_.add(item);
    given_up_.remember(std::move(attempt.slices));
  }
  return {};
}

bool Transactions::was_committed(const std::vector<uint64_t>& slices) {
  std::lock_guard lock(mutex_);
  return given_up_.were_committed(slices);
}

void Transactions::forget() {
  hints_.clear();
  prepared_ = false;
  std::lock_guard lock(mutex_);
  usage_.counted(usage_.pending());
  counted_ = {};
}

std::string Transactions::volume() {
  std::lock_guard lock(mutex_);
  return volume_;
}

Statement Transactions::row_of(uint64_t sid) {
  return tally_row(client_, static_cast<int64_t>(sid), volume());
}

Status Transactions::leave(std::stop_token stop) {
  if (!prepared_) return {};
  return until_done(stop, [&](int) { return leave_once(stop); });
}

// Once more, it finds no rows. Commits of this client that are still under way are waited for.
Status Transactions::leave_once(const std::stop_token& stop) {
  Pool::Lease lease = TRY(pool_.acquire(stop));
  std::vector<Statement> statements;
  statements.emplace_back("BEGIN");
  add_tally(Lock::update, &statements);
  const Tally tally = TRY(ask_tally(lease, statements, stop));
  std::vector<Change> changes;
  add_counting(tally.total, difference(tally.total, tally.counted), client_, &changes);
  statements.clear();
  for (Change& change : changes) statements.push_back(std::move(change.statement));
  statements.emplace_back("DELETE FROM cider_op WHERE client=?", std::string_view(client_));
  statements.emplace_back("DELETE FROM cider_client WHERE client=?", std::string_view(client_));
  statements.emplace_back("COMMIT");
  std::vector<Outcome> outcomes;
  Status done = lease->flight(statements, &outcomes, stop);
  if (!done && lease->is_usable()) lease->roll_back();
  return done;
}

}  // namespace cider::meta::sql::server
