#include "meta/store/kv/tikv/tikv_database.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "base/interruptible_sleep.h"
#include "base/log.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/tikv/tikv_commit.h"
#include "meta/store/kv/tikv/tikv_gc.h"
#include "meta/store/kv/tikv/tikv_view.h"

namespace cider::meta::kv {
namespace {

using std::chrono::steady_clock;

constexpr size_t kParts = 4096;
constexpr size_t kBytes = 4 << 20;
constexpr size_t kGroup = 32;
// An older one conflicts with more, and its locks live shorter.
constexpr std::chrono::seconds kOldestStart{1};
// Timestamps of a change: its beginning, its commit where that can be then, and the start of the next.
constexpr uint32_t kReserved = 3;

// Of a range below an inode: the key of its attributes.
std::optional<std::string> record_over(const Range& range) {
  constexpr size_t kInode = 1 + 8;  // 'A' and the number
  if (range.begin.size() < kInode || range.begin.front() != 'A') return std::nullopt;
  return range.begin.substr(0, kInode) + 'I';
}

// Unlocks what commits leave locked, one after the other; errors leave it to whoever meets the locks.
class Cleaner {
 public:
  explicit Cleaner(TikvClient& client) : resolver_(client) {
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  }
  void add(LeftLocks left) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(left));
    changed_.notify_all();
  }
  // Those that come later will be found by whoever meets them.
  void drain(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return queue_.empty(); });
  }

 private:
  void work(const std::stop_token& stop) {
    while (true) {
      LeftLocks left;
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
        left = queue_.front();
      }
      const Status done = unlock(left, stop);
      if (!done && done.error().code != EINTR) log::warning("TiKV: " + done.error().to_string());
      std::lock_guard lock(mutex_);
      queue_.pop_front();
      changed_.notify_all();
    }
  }

  Status unlock(const LeftLocks& left, const std::stop_token& stop) {
    if (left.commit_ts) return resolver_.finish(left.keys, left.start_ts, *left.commit_ts, stop);
    TRY(resolver_.settle(left.keys, left.start_ts, stop));
    return {};
  }

  LockResolver resolver_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<LeftLocks> queue_;
  std::jthread thread_;
};

class TikvDatabase final : public Database {
 public:
  TikvDatabase(TikvUrl url, bool read_only)
      : client_(std::move(url)), prefix_(client_.url().key_prefix()), read_only_(read_only) {}
  ~TikvDatabase() override {
    if (cleaner_) cleaner_->drain(std::chrono::seconds(1));
  }

  Status open() {
    TRY(client_.open({}));
    cleaner_.emplace(client_);
    return {};
  }

  std::string name() const override { return "tikv"; }
  std::string describe() const override { return client_.url().describe(); }
  Result<std::unique_ptr<View>> view(std::stop_token stop) override {
    ++timestamp_waits_;
    return std::make_unique<TikvView>(client_, entries_, prefix_, client_.pd().ask_timestamp(), nullptr,
                                      std::move(stop));
  }
  Result<std::unique_ptr<View>> working_view(std::stop_token stop) override;
  Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                           const Interrupt& stop) override;
  Result<bool> settle(std::stop_token stop) override;
  Limits limits() const override {
    return {.parts = kParts, .bytes = kBytes, .deletes_ranges = false, .group = kGroup};
  }
  Status housekeeping() override {
    const auto age = client_.url().gc_interval;
    return age.count() == 0 ? Status{} : move_safe_point(client_, age, {});
  }
  bool read_only() const override { return read_only_; }
  uint64_t requests() const { return client_.requests(); }
  uint64_t round_trips() const { return client_.round_trips() + timestamp_waits_; }

 private:
  Result<bool> guesses_hold(TikvView& seen, const Changes& changes);
  Result<Committed> check_only(const TikvView& seen, const Checks& checks, const std::stop_token& stop);
  TikvMutations mutations_of(const TikvView& seen, const Checks& checks, const Changes& changes) const;
  void doubt(const std::set<std::string>& guessed);
  void prepare_next(uint64_t beginning, uint64_t committed_at, const Changes& changes);

  // Of a change, prepared by the one before it.
  struct Start {
    std::shared_ptr<PdClient::Timestamp> at;
    steady_clock::time_point since;
    std::map<std::string, Value, std::less<>> known;  // at that time
  };

  TikvClient client_;
  KnownValues entries_;  // as they were seen, for guesses
  const std::string prefix_;
  const bool read_only_;
  std::atomic<uint64_t> timestamp_waits_{0};  // with nothing else to do meanwhile
  std::mutex mutex_;
  std::optional<Start> next_;
  std::set<std::string> doubted_;  // that the last commit took for absent in vain
  std::optional<LeftLocks> unsettled_;
  std::optional<Cleaner> cleaner_;
};

Result<std::unique_ptr<View>> TikvDatabase::working_view(std::stop_token stop) {
  std::optional<Start> start;
  std::set<std::string> doubted;
  {
    std::lock_guard lock(mutex_);
    doubted = doubted_;
    start = std::exchange(next_, std::nullopt);
    if (start && steady_clock::now() - start->since > kOldestStart) start.reset();
  }
  auto beginning = client_.pd().ask_timestamp(kReserved);
  std::unique_ptr<TikvView> view;
  if (start) {
    view = std::make_unique<TikvView>(client_, entries_, prefix_, std::move(start->at), std::move(beginning),
                                      std::move(stop));
    view->take_known(std::move(start->known));
  } else {
    ++timestamp_waits_;
    view = std::make_unique<TikvView>(client_, entries_, prefix_, std::move(beginning), nullptr,
                                      std::move(stop));
  }
  view->take_guesses(std::move(doubted));
  return view;
}

// Whoever changes what this commit did must have begun after it, with a timestamp of his own. Where it is
// directly before one that was reserved for us, nobody can have one between: there all is as it left it.
// Else a timestamp has to be asked for.
void TikvDatabase::prepare_next(uint64_t beginning, uint64_t committed_at, const Changes& changes) {
  Start next;
  next.since = steady_clock::now();
  if (committed_at == beginning + 1) {
    next.at = PdClient::known_timestamp(beginning + 2);
    next.known = changes.keys;
  } else {
    next.at = client_.pd().ask_timestamp();
  }
  std::lock_guard lock(mutex_);
  next_ = std::move(next);
}

void TikvDatabase::doubt(const std::set<std::string>& guessed) {
  std::lock_guard lock(mutex_);
  doubted_ = guessed;
}

TikvMutations TikvDatabase::mutations_of(const TikvView& seen, const Checks& checks,
                                         const Changes& changes) const {
  TikvMutations mutations;
  std::set<std::string> relied(checks.keys.begin(), checks.keys.end());
  for (const Checks::Unchanged& unchanged : checks.ranges) {
    auto record = record_over(unchanged.range);
    if (record) relied.insert(*std::move(record));
    if (!record) relied.insert(unchanged.keys.begin(), unchanged.keys.end());
  }
  for (const auto& [key, value] : changes.keys) {
    if (value && seen.guessed().contains(key)) mutations.inserts.insert(mutations.keys.size());
    mutations.keys.push_back(prefix_ + key);
    mutations.values.emplace_back(value);
  }
  for (const std::string& key : relied) {
    if (changes.keys.contains(key)) continue;
    mutations.keys.push_back(prefix_ + key);
    mutations.values.emplace_back(std::nullopt);
  }
  return mutations;
}

Result<Committed> TikvDatabase::commit(View& view, const Checks& checks, const Changes& changes,
                                       const Interrupt& stop) {
  auto& seen = dynamic_cast<TikvView&>(view);
  if (!TRY(guesses_hold(seen, changes))) return Committed::conflict;
  if (changes.empty()) return check_only(seen, checks, stop.now);
  const TikvMutations mutations = mutations_of(seen, checks, changes);
  if (!seen.is_fresh() && !seen.has_asked()) ++timestamp_waits_;
  const uint64_t beginning = TRY(seen.beginning());
  TikvCommit commit(client_, mutations, TRY(seen.timestamp()), beginning, stop);
  auto committed = commit.run();
  if (committed == Committed::unknown) {
    std::lock_guard lock(mutex_);
    unsettled_ = commit.left();
    return committed;
  }
  if (commit.found_present()) doubt(seen.guessed());
  if (committed == Committed::done) {
    doubt({});
    prepare_next(beginning, commit.committed_at(), changes);
    for (const auto& [key, value] : changes.keys) {
      if (is_entry_key(key)) entries_.note(key, {value, 0, static_cast<int64_t>(beginning)});
    }
  }
  if (!commit.left().keys.empty()) cleaner_->add(commit.left());
  return committed;
}

Result<bool> TikvDatabase::settle(std::stop_token stop) {
  std::optional<LeftLocks> unsettled;
  {
    std::lock_guard lock(mutex_);
    unsettled = unsettled_;
  }
  if (!unsettled) return false;
  const Fate fate = TRY(LockResolver(client_).settle(unsettled->keys, unsettled->start_ts, stop));
  {
    std::lock_guard lock(mutex_);
    unsettled_.reset();
  }
  if (fate.commit_ts == 0) return false;
  prepare_next(0, 0, {});
  cleaner_->add({unsettled->keys, unsettled->start_ts, fate.commit_ts});
  return true;
}

// Those that no insert proves.
Result<bool> TikvDatabase::guesses_hold(TikvView& seen, const Changes& changes) {
  std::vector<std::string> unproven;
  for (const std::string& key : seen.guessed()) {
    const auto change = changes.keys.find(key);
    if (change == changes.keys.end() || !change->second) unproven.push_back(key);
  }
  if (unproven.empty()) return true;
  const auto is_absent = [](const Value& value) { return !value; };
  if (std::ranges::all_of(TRY(seen.ask(unproven)), is_absent)) return true;
  doubt(seen.guessed());
  return false;
}

// What a view shows at a timestamp that is no older than the question was so at that instant.
Result<Committed> TikvDatabase::check_only(const TikvView& seen, const Checks& checks,
                                           const std::stop_token& stop) {
  if (seen.is_fresh()) return Committed::done;
  const std::unique_ptr<View> present = TRY(view(stop));
  std::vector<std::string> keys(checks.keys.begin(), checks.keys.end());
  for (const Checks::Unchanged& unchanged : checks.ranges) {
    for (const std::string& key : unchanged.keys) {
      if (seen.shown().contains(key)) keys.push_back(key);  // with its value
    }
  }
  const std::vector<Value> values = TRY(present->get(keys));
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto known = seen.shown().find(keys[i]);
    if (known == seen.shown().end() || known->second != values[i]) return Committed::conflict;
  }
  for (const Checks::Unchanged& unchanged : checks.ranges) {
    std::vector<std::string> found;
    for (Pair& pair : TRY(present->scan(unchanged.range, unchanged.keys.size() + 1, true)))
      found.push_back(std::move(pair.key));
    if (found != unchanged.keys) return Committed::conflict;
  }
  return Committed::done;
}

}  // namespace

Result<std::shared_ptr<Database>> open_tikv(std::string_view url, bool read_only) {
  auto database = std::make_shared<TikvDatabase>(TRY(parse_tikv_url(url)), read_only);
  TRY(database->open());
  return database;
}

bool tikv_answers(std::string_view url) {
  const auto parsed = parse_tikv_url(url);
  std::stop_source soon;
  std::jthread timer([&](const std::stop_token& done) {
    if (interruptible_sleep(std::chrono::seconds(1), done)) soon.request_stop();
  });
  return parsed && PdClient(*parsed).open(soon.get_token());
}

uint64_t tikv_round_trips(const Database& database) {
  return dynamic_cast<const TikvDatabase&>(database).round_trips();
}

uint64_t tikv_requests(const Database& database) {
  return dynamic_cast<const TikvDatabase&>(database).requests();
}

}  // namespace cider::meta::kv
