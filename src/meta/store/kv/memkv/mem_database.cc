#include "meta/store/kv/memkv/mem_database.h"

#include <iterator>

namespace cider::meta::kv {

class MemDatabase::MemView final : public View {
 public:
  MemView(MemDatabase& database, bool working) : database_(database), working_(working) {
    std::lock_guard lock(database_.mutex_);
    revision = database_.now_;
    database_.views_.insert(revision);
    stale_ = working && database_.happens(database_.behaviour_.stale);
  }
  ~MemView() override {
    std::lock_guard lock(database_.mutex_);
    database_.views_.erase(database_.views_.find(revision));
  }

  Result<std::vector<Value>> get(std::span<const std::string> keys) override {
    std::lock_guard lock(database_.mutex_);
    std::vector<Value> out;
    for (const std::string& key : keys) out.push_back(get_one(key));
    return out;
  }

  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) override {
    std::lock_guard lock(database_.mutex_);
    std::vector<Pair> out;
    auto key = database_.keys_.lower_bound(range.begin);
    for (; key != database_.keys_.end() && key->first < range.end && out.size() < limit; ++key) {
      const auto now = at(key->second, revision);
      if (now == key->second.end() || !now->second) continue;
      out.push_back({key->first, keys_only ? std::string{} : *now->second});
      seen.emplace(key->first, Shown{now->first, true});
    }
    return out;
  }

  Result<std::string> bound(const Range& range) override {
    std::lock_guard lock(database_.mutex_);
    auto key = database_.keys_.lower_bound(range.end);
    return key == database_.keys_.begin() || std::prev(key)->first < range.begin
               ? range.begin
               : std::prev(key)->first + '\0';
  }

  void expect_absent(const std::string& key) override {
    std::lock_guard lock(database_.mutex_);
    if (working_ && database_.happens(0.5)) seen.emplace(key, Shown{});
  }

  struct Shown {
    Revision since = 0;
    bool there = false;
  };
  Revision revision = 0;
  std::map<std::string, Shown> seen;

 private:
  Value get_one(const std::string& key) {
    const auto history = database_.keys_.find(key);
    if (history == database_.keys_.end() || seen.contains(key)) {
      const auto [known, is_new] = seen.emplace(key, Shown{});
      return known->second.there ? history->second.at(known->second.since) : std::nullopt;
    }
    auto shown = at(history->second, revision);
    if (stale_ && shown != history->second.begin() && database_.happens(0.5)) shown = std::prev(shown);
    if (shown == history->second.end()) {
      seen.emplace(key, Shown{});
      return std::nullopt;
    }
    seen.emplace(key, Shown{shown->first, shown->second.has_value()});
    return shown->second;
  }

  MemDatabase& database_;
  const bool working_;
  bool stale_ = false;
};

std::shared_ptr<MemDatabase> MemDatabase::of_name(std::string_view name, Behaviour behaviour) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<MemDatabase>, std::less<>> by_name;
  std::lock_guard lock(mutex);
  std::weak_ptr<MemDatabase>& known = by_name[std::string(name)];
  std::shared_ptr<MemDatabase> database = known.lock();
  if (!database) known = database = std::make_shared<MemDatabase>(behaviour);
  return database;
}

Result<std::unique_ptr<View>> MemDatabase::view(std::stop_token) {
  return std::make_unique<MemView>(*this, false);
}

Result<std::unique_ptr<View>> MemDatabase::working_view(std::stop_token) {
  return std::make_unique<MemView>(*this, true);
}

Limits MemDatabase::limits() const {
  return {.parts = behaviour_.parts, .deletes_ranges = behaviour_.deletes_ranges};
}

bool MemDatabase::happens(double share) {
  return share > 0 && std::uniform_real_distribution<>(0, 1)(random_) < share;
}

// What the key was at the revision; the end: it had never been.
MemDatabase::History::const_iterator MemDatabase::at(const History& history, Revision revision) {
  const auto after = history.upper_bound(revision);
  return after == history.begin() ? history.end() : std::prev(after);
}

bool MemDatabase::range_holds(const MemView& view, const Checks::Unchanged& range) const {
  size_t there = 0;
  auto key = keys_.lower_bound(range.range.begin);
  for (; key != keys_.end() && key->first < range.range.end; ++key) {
    const auto& [since, value] = *key->second.rbegin();
    if (!value) continue;
    ++there;
    if (since > view.revision) return false;
  }
  return there == range.keys.size();
}

Result<Committed> MemDatabase::commit(View& view, const Checks& checks, const Changes& changes,
                                      const Interrupt&) {
  const auto& seen = dynamic_cast<MemView&>(view);
  std::lock_guard lock(mutex_);
  if (happens(behaviour_.conflict)) return Committed::conflict;
  for (const std::string& key : checks.keys) {
    const auto shown = seen.seen.find(key);
    if (shown == seen.seen.end()) return fail(EINVAL, "a check of what the view has not shown");
    const auto history = keys_.find(key);
    const bool is_there = history != keys_.end() && history->second.rbegin()->second;
    const bool same_value = is_there && history->second.rbegin()->first == shown->second.since;
    if (shown->second.there ? !same_value : is_there) return Committed::conflict;
  }
  for (const Checks::Unchanged& range : checks.ranges) {
    if (!range_holds(seen, range)) return Committed::conflict;
  }
  ++now_;
  for (const Range& range : changes.deleted) {
    auto key = keys_.lower_bound(range.begin);
    for (; key != keys_.end() && key->first < range.end; ++key) {
      if (key->second.rbegin()->second) write(key->first, std::nullopt);
    }
  }
  for (const auto& [key, value] : changes.keys) {
    if (value || keys_.contains(key)) write(key, value);
  }
  return Committed::done;
}

void MemDatabase::write(const std::string& key, Value value) {
  History& history = keys_[key];
  history[now_] = std::move(value);
  const Revision oldest = views_.empty() ? now_ : *views_.begin();
  while (history.size() > 3 && std::next(history.begin())->first <= oldest) history.erase(history.begin());
}

}  // namespace cider::meta::kv
