#include "meta/store/redis/transactions.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <unordered_map>

#include "base/bytes.h"
#include "base/function_ref.h"
#include "meta/store/client_usage.h"
#include "meta/store/redis/changes.h"
#include "meta/store/redis/keys.h"
#include "meta/store/redis/scans.h"
#include "meta/store/redis/script.h"

namespace cider::meta::redis {
namespace {

// Values of the script's first answer.
constexpr int64_t kConflict = 0;
constexpr int64_t kDone = 1;
constexpr int64_t kInodeInUse = 2;
constexpr int64_t kSliceInUse = 4;

constexpr int64_t kProlongEvery = 3600;  // seconds; the hash of decided attempts lives for a day

// What conflict replies said, by question: the values of one instant.
using Known = std::unordered_map<std::string, std::vector<Answer>>;

std::string random_name() {
  return "opid:" + to_hex(random_client_name());
}

// The answers to `items` in a script's reply, whose first element is no answer.
std::vector<std::vector<Answer>> sorted_answers(const Reply& reply, size_t items,
                                                FunctionRef<const ReadItem&(size_t)> item) {
  std::vector<std::vector<Answer>> out;
  size_t at = 1;
  for (size_t i = 0; i < items; ++i) {
    std::vector<Answer>& answers = out.emplace_back();
    for (size_t n = checks_of(item(i)); n > 0; --n) answers.push_back(answer_of(reply[at++]));
  }
  return out;
}

bool absence_expected(const ReadItem& item) {
  if (const auto* entry = std::get_if<EntryRead>(&item)) return entry->absence_expected;
  if (const auto* lookup = std::get_if<LookupRead>(&item)) return lookup->absence_expected;
  return false;
}

// A short random sleep that grows, so that clients who meet in one directory get out of each other's way.
void back_off(int attempt) {
  if (attempt < 2) return;
  thread_local std::minstd_rand random(std::random_device{}());
  auto limit = static_cast<unsigned>(std::min(attempt * attempt * 50, 20'000));
  std::this_thread::sleep_for(std::chrono::microseconds(random() % limit));
}

Status read_by(Fetcher& fetcher, Operation operation) {
  Transaction tx(fetcher);
  TRY(operation(tx));
  if (!tx.writes().empty()) return fail(EINVAL, "an operation that only reads has writes");
  return {};
}

}  // namespace

// Holes over more chunks than the script should try one by one, while the server serves nobody else: those
// that are there are looked for beforehand, and must not be many. Whoever writes to the file meanwhile
// moves its times.
class LongRows {
 public:
  explicit LongRows(const std::vector<WriteItem>& writes) {
    for (const WriteItem& item : writes) {
      if (is_one(item)) inodes_.push_back(std::get<HoleOverChunks>(item).ino);
    }
  }
  static bool is_one(const WriteItem& item) {
    const auto* holes = std::get_if<HoleOverChunks>(&item);
    return holes != nullptr && holes->last - holes->first >= kLongRow;
  }
  void add_guarded(const ReadItem& item, const std::vector<Answer>& seen, Steps* steps) const {
    const auto* attr = std::get_if<AttrRead>(&item);
    if (!attr || std::ranges::find(inodes_, attr->ino) == inodes_.end())
      return add_checks(item, &seen, steps);
    AttrRead whole = *attr;
    whole.depends |= field::mtime | field::ctime;
    add_checks(whole, &seen, steps);
  }
  static Status add(Client& client, const HoleOverChunks& row, Steps* steps) {
    std::vector<uint32_t> found = TRY(chunks_between(client, row.ino, row.first, row.last));
    if (found.size() > kMostFound) return fail(kTooManyChunks);
    for (size_t first = 0, next; first < found.size(); first = next) {
      for (next = first + 1; next < found.size() && found[next] == found[next - 1] + 1;) ++next;
      add_write(HoleOverChunks{row.ino, found[first], found[next - 1]}, steps);
    }
    return {};
  }

 private:
  static constexpr uint32_t kLongRow = 2000;
  static constexpr size_t kMostFound = 1000;
  std::vector<Ino> inodes_;
};

// A place in the hash of decided attempts, one operation's at a time.
class Transactions::Slot {
 public:
  explicit Slot(Transactions& owner) : owner_(owner) {
    std::lock_guard lock(owner.slots_mutex_);
    if (owner.free_slots_.empty()) owner.free_slots_.push_back(owner.slots_++);
    attempt_.slot = owner.free_slots_.back();
    owner.free_slots_.pop_back();
  }
  ~Slot() {
    std::lock_guard lock(owner_.slots_mutex_);
    if (open_) {
      owner_.abandoned_.push_back(std::move(attempt_));
      owner_.any_abandoned_ = true;
    } else {
      owner_.free_slots_.push_back(attempt_.slot);
    }
  }
  Slot(const Slot&) = delete;
  const Attempt& next_attempt(std::vector<uint64_t> slices) {
    attempt_.seq = ++owner_.seq_;
    attempt_.slices = std::move(slices);
    return attempt_;
  }
  // The attempt's outcome is not known.
  void leave_open() { open_ = true; }

 private:
  Transactions& owner_;
  Attempt attempt_;
  bool open_ = false;
};

// Answers from what conflicts told, then from hints, else by a flight.
class Transactions::Hinted final : public Fetcher {
 public:
  Hinted(Transactions& owner, const Known& known, bool hints, std::stop_token stop)
      : owner_(owner), known_(known), use_hints_(hints), stop_(std::move(stop)) {}

  Status fetch(const std::vector<ReadItem*>& items) override {
    Status done = answer(items);
    if (!done) failed_ = true;
    return done;
  }

  const std::vector<std::vector<Answer>>& seen() const { return seen_; }
  bool hinted(size_t i) const { return hinted_[i]; }
  // What was read held at one instant, so nothing needs to be checked.
  bool proven() const { return flights_ + (from_known_ ? 1 : 0) <= 1 && !from_hints_; }
  bool failed() const { return failed_; }

 private:
  Status answer(const std::vector<ReadItem*>& items) {
    std::vector<std::vector<Answer>> answers;
    std::vector<bool> hinted;
    if (!without_asking(items, &answers, &hinted)) {
      answers.clear();
      hinted.assign(items.size(), false);
      ++flights_;
      TRY(owner_.ask(items, &answers, stop_));
    }
    hinted_.insert(hinted_.end(), hinted.begin(), hinted.end());
    for (size_t i = 0; i < items.size(); ++i) {
      TRY(take_answers(items[i], answers[i]));
      seen_.push_back(std::move(answers[i]));
    }
    return {};
  }

  bool without_asking(const std::vector<ReadItem*>& items, std::vector<std::vector<Answer>>* answers,
                      std::vector<bool>* hinted) {
    bool known = false;
    for (const ReadItem* item : items) {
      auto it = known_.find(name_of(*item));
      hinted->push_back(it == known_.end());
      if (it != known_.end()) {
        known = true;
        answers->push_back(it->second);
        continue;
      }
      auto hint = use_hints_ ? owner_.hints_.recall(*item) : std::nullopt;
      if (!hint && use_hints_ && absence_expected(*item)) hint.emplace(Answer{std::nullopt, std::nullopt});
      if (!hint) return false;
      answers->push_back({*std::move(hint)});
    }
    from_hints_ |= std::ranges::find(*hinted, true) != hinted->end();
    from_known_ |= known;
    return true;
  }

  Transactions& owner_;
  const Known& known_;
  const bool use_hints_;
  const std::stop_token stop_;
  std::vector<std::vector<Answer>> seen_;
  std::vector<bool> hinted_;
  int flights_ = 0;
  bool from_known_ = false;
  bool from_hints_ = false;
  bool failed_ = false;
};

// Each flight is one instant, and the truth.
class Transactions::Asking final : public Fetcher {
 public:
  Asking(Transactions& owner, std::stop_token stop) : owner_(owner), stop_(std::move(stop)) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    std::vector<std::vector<Answer>> answers;
    TRY(owner_.ask(items, &answers, stop_));
    for (size_t i = 0; i < items.size(); ++i) TRY(take_answers(items[i], answers[i]));
    return {};
  }

 private:
  Transactions& owner_;
  const std::stop_token stop_;
};

// Answers a flight from the cache where that holds all of it.
class Transactions::Recalling final : public Fetcher {
 public:
  Recalling(Transactions& owner, std::stop_token stop)
      : cache_(*owner.cache_), asking_(owner, std::move(stop)) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    std::vector<Answer> answers;
    for (const ReadItem* item : items) {
      auto known = cache_.recall(*item);
      if (!known) return asking_.fetch(items);
      answers.push_back(*std::move(known));
    }
    for (size_t i = 0; i < items.size(); ++i) TRY(take_answers(items[i], {std::move(answers[i])}));
    return {};
  }

 private:
  ClientCache& cache_;
  Asking asking_;
};

Transactions::Transactions(Client& client, ClientCache* cache)
    : client_(client), cache_(cache), fairness_(client), slots_name_(random_name()) {}

Result<Reply> Transactions::call(const Steps& steps, bool ask, const Attempt* attempt, std::stop_token stop,
                                 bool* maybe_ran) {
  const bool guarded = attempt && client_.keyspace().is_in_cluster();
  const size_t keys = steps.keys.size() + (attempt ? 1 : 0) + (guarded ? 1 : 0);
  const bool prolong = attempt && !ask && time_to_prolong();
  const auto command = [&](std::string_view evaluate, std::string_view script) {
    Commands out;
    out.begin(8 + keys + steps.args.size()).argument(evaluate).argument(script);
    out.argument(std::to_string(keys));
    if (attempt) out.argument(client_.key(slots_name_));
    out.arguments(steps.keys);
    if (guarded) out.argument(client_.key(kNothing));
    out.argument(std::to_string(steps.checks)).argument(ask ? "ask" : std::to_string(steps.writes));
    out.argument(attempt ? std::to_string(attempt->slot) : "");
    out.argument(attempt ? std::to_string(attempt->seq) : "");
    out.argument(prolong ? "1" : "").arguments(steps.args);
    return out;
  };
  Reply reply = TRY(client_.call(command("EVALSHA", script_sha()), stop, maybe_ran)).front();
  if (reply.is_error() && reply.text().starts_with("NOSCRIPT"))
    reply = TRY(client_.call(command("EVAL", kScript), stop, maybe_ran)).front();
  if (!reply.is_error()) return reply;
  return fail(maybe_ran && *maybe_ran ? unclear(error_of(reply)) : error_of(reply));
}

Status Transactions::ask(const std::vector<ReadItem*>& items, std::vector<std::vector<Answer>>* answers,
                         std::stop_token stop) {
  const ClientCache::Moment asked = now();
  const auto* attr = items.size() == 1 ? std::get_if<AttrRead>(items.front()) : nullptr;
  const auto* lookup = items.size() == 1 ? std::get_if<LookupRead>(items.front()) : nullptr;
  if (attr) {
    Reply reply = TRY(client_.ask(std::move(stop), "GET", client_.key(inode_key(attr->ino))));
    answers->push_back({answer_of(reply)});
  } else if (lookup && misses_.expected(lookup->parent) &&
             TRY(client_.ask(stop, "HGET", client_.key(dir_key(lookup->parent)), lookup->name)).is_nil()) {
    answers->push_back({{std::nullopt, std::nullopt}});
  } else {
    Steps steps(client_.keyspace());
    for (const ReadItem* item : items) add_checks(*item, nullptr, &steps);
    if (steps.checks == 0) {
      answers->resize(items.size());
      return {};
    }
    Reply reply = TRY(call(steps, true, nullptr, std::move(stop)));
    *answers = sorted_answers(reply, items.size(), [&](size_t i) -> const ReadItem& { return *items[i]; });
    if (lookup) misses_.note(lookup->parent, !answers->front().front().front());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if ((*answers)[i].size() == 1) learn(*items[i], (*answers)[i].front(), asked);
  }
  return {};
}

void Transactions::learn(const ReadItem& item, const Answer& answer, ClientCache::Moment asked) {
  hints_.remember(item, answer);
  if (cache_) cache_->fill(item, answer, asked);
}

Status Transactions::read(Operation operation, std::stop_token stop) {
  Asking fetcher(*this, std::move(stop));
  return read_by(fetcher, operation);
}

Status Transactions::read_recent(Operation operation, std::stop_token stop) {
  if (!cache_) return read(operation, std::move(stop));
  Recalling fetcher(*this, std::move(stop));
  return read_by(fetcher, operation);
}

bool Transactions::time_to_prolong() {
  using namespace std::chrono;
  int64_t now = duration_cast<seconds>(steady_clock::now().time_since_epoch()).count();
  int64_t due = prolong_at_;
  return now >= due && prolong_at_.compare_exchange_strong(due, now + kProlongEvery);
}

// Two threads may be here for the same attempt: both get its verdict, or the second finds it done with.
Status Transactions::refuse_abandoned(std::stop_token stop) {
  if (!any_abandoned_) return {};
  std::vector<Attempt> attempts;
  {
    std::lock_guard lock(slots_mutex_);
    attempts = abandoned_;
  }
  for (Attempt& attempt : attempts) {
    Reply reply = TRY(call(Steps(client_.keyspace()), true, &attempt, stop));
    std::lock_guard lock(slots_mutex_);
    if (std::erase(abandoned_, attempt) == 0) continue;
    any_abandoned_ = !abandoned_.empty();
    free_slots_.push_back(attempt.slot);
    if (reply[0].integer() == kDone) given_up_.remember(std::move(attempt.slices));
  }
  return {};
}

bool Transactions::was_committed(const std::vector<uint64_t>& slices) {
  std::lock_guard lock(slots_mutex_);
  return given_up_.were_committed(slices);
}

// A broken connection leaves it open whether the commit ran: the next try gets the same verdict, or the
// first. Who gives up before leaves the attempt to refuse_abandoned().
Result<Reply> Transactions::commit(const Transaction& tx, const Hinted& fetcher, bool writes, Slot& slot,
                                   std::stop_token stop) {
  const LongRows rows(tx.writes());
  Steps steps(client_.keyspace());
  for (size_t i = 0; i < fetcher.seen().size(); ++i) {
    if (fetcher.hinted(i)) {
      add_hint_checks(tx.reads()[i], fetcher.seen()[i], &steps);
    } else {
      rows.add_guarded(tx.reads()[i], fetcher.seen()[i], &steps);
    }
  }
  if (!writes) return call(steps, false, nullptr, std::move(stop));
  add_guards(tx.writes(), &steps);
  // Counters that are no numbers make a script fail that nothing has checked: before it has written anything.
  for (const WriteItem& item : tx.writes()) {
    if (std::holds_alternative<AddUsage>(item)) add_write(item, &steps);
  }
  for (const WriteItem& item : tx.writes()) {
    if (std::holds_alternative<AddUsage>(item)) continue;
    if (LongRows::is_one(item)) {
      TRY(LongRows::add(client_, std::get<HoleOverChunks>(item), &steps));
    } else {
      add_write(item, &steps);
    }
  }
  TRY(fairness_.await_turn(tx.writes(), stop));
  TRY(refuse_abandoned(stop));
  std::vector<uint64_t> slices = new_slices(tx);
  if (was_committed(slices)) return fail(kCommittedBefore);
  bool maybe_ran = false;
  auto reply = call(steps, false, &slot.next_attempt(std::move(slices)), std::move(stop), &maybe_ran);
  if (!reply && maybe_ran) slot.leave_open();
  if (cache_) std::ranges::for_each(tx.writes(), [this](const WriteItem& item) { cache_->forget(item); });
  return reply;
}

void Transactions::finish(const Transaction& tx, const Reply& reply) {
  const auto is_append = [](const WriteItem& item) { return std::holds_alternative<AppendSlices>(item); };
  size_t count = 1;
  size_t record = count + static_cast<size_t>(std::ranges::count_if(tx.writes(), is_append));
  for (const WriteItem& item : tx.writes()) {
    const auto* patch = std::get_if<PatchNode>(&item);
    if (patch && patch->after && record < reply.size()) {
      const std::string now(reply[record++].text());
      hints_.remember(AttrRead{.ino = patch->ino}, {now});
      if (auto attr = decode_attr(now)) *patch->after = *std::move(attr);
      continue;
    }
    hints_.apply(item);
    if (!is_append(item)) continue;
    const auto length = static_cast<uint32_t>(reply[count++].integer());
    if (uint32_t* wanted = std::get<AppendSlices>(item).count) *wanted = length;
  }
}

Status Transactions::run(Operation operation, std::stop_token stop) {
  Slot slot(*this);
  Known known;
  for (int attempt = 0;; ++attempt) {
    if (stop.stop_requested()) return fail(EINTR);
    Hinted fetcher(*this, known, attempt == 0, stop);
    Transaction tx(fetcher);
    Status answer = operation(tx);
    if (fetcher.failed()) return answer;
    bool writes = answer && !tx.writes().empty();
    if (!writes && fetcher.proven()) return answer;
    const ClientCache::Moment asked = now();
    Reply reply = TRY(commit(tx, fetcher, writes, slot, stop));
    int64_t verdict = reply[0].integer();
    if (verdict == kDone) {
      if (writes) finish(tx, reply);
      return answer;
    }
    if (verdict == kInodeInUse) return fail(kInodeTaken, "an inode number was given twice");
    if (verdict == kSliceInUse) return fail(EEXIST, "a slice number was given twice");
    if (verdict != kConflict) return fail(EIO, "the commit's outcome is unknown");
    ++conflicts_;
    known.clear();
    auto present = sorted_answers(reply, fetcher.seen().size(),
                                  [&](size_t i) -> const ReadItem& { return tx.reads()[i]; });
    for (size_t i = 0; i < present.size(); ++i) {
      if (present[i].size() == 1) learn(tx.reads()[i], present[i].front(), asked);
      known.emplace(name_of(tx.reads()[i]), std::move(present[i]));
    }
    back_off(attempt);
  }
}

}  // namespace cider::meta::redis
