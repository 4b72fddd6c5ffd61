#include "meta/store/kv/workspace.h"

#include <algorithm>

namespace cider::meta::kv {

const Value* Workspace::changed(const std::string& key) const {
  static const Value kGone;
  if (auto it = changes_.keys.find(key); it != changes_.keys.end()) return &it->second;
  for (const Range& range : changes_.deleted) {
    if (range.contains(key)) return &kGone;
  }
  return nullptr;
}

void Workspace::rely_on(const std::string& key) {
  if (with_checks_ && checks_.keys.insert(key).second) bytes_ += key.size();
}

Result<Value> Workspace::get(const std::string& key, Rely rely) {
  if (const Value* now = changed(key)) return *now;
  if (rely == Rely::yes) rely_on(key);
  auto [known, is_new] = known_.try_emplace(key);
  if (!is_new) return known->second;
  auto values = noted(view_.get(std::span(&known->first, 1)));
  if (!values) {
    known_.erase(known);
    return fail(std::move(values).error());
  }
  known->second = std::move(values->front());
  return known->second;
}

Status Workspace::load(std::vector<std::string> keys) {
  std::erase_if(keys, [&](const std::string& key) { return known_.contains(key) || changed(key); });
  if (keys.empty()) return {};
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<Value> values = TRY(noted(view_.get(keys)));
  for (size_t i = 0; i < keys.size(); ++i) known_.emplace(std::move(keys[i]), std::move(values[i]));
  return {};
}

const Value* Workspace::known(const std::string& key) const {
  const auto found = known_.find(key);
  return found == known_.end() ? nullptr : &found->second;
}

// The pairs of the view without those that were changed, and the changed ones among them.
Result<std::vector<Pair>> Workspace::merged(const Range& range, size_t limit, bool keys_only,
                                            std::vector<std::string>* of_view) {
  std::vector<Pair> out;
  auto changed_at = changes_.keys.lower_bound(range.begin);
  const auto take_changed_below = [&](std::string_view end) {
    for (; changed_at != changes_.keys.end() && changed_at->first < end && out.size() < limit; ++changed_at) {
      if (changed_at->second)
        out.push_back({changed_at->first, keys_only ? std::string{} : *changed_at->second});
    }
  };
  Range rest = range;
  while (out.size() < limit) {
    const size_t wanted = limit - out.size();
    std::vector<Pair> page = TRY(noted(view_.scan(rest, wanted, keys_only)));
    for (Pair& pair : page) {
      of_view->push_back(pair.key);
      take_changed_below(pair.key);
      if (out.size() == limit) return out;
      rest.begin = pair.key + '\0';
      if (!changed(pair.key)) out.push_back(std::move(pair));
    }
    if (page.size() < wanted) {
      take_changed_below(range.end);
      return out;
    }
  }
  return out;
}

Result<std::vector<Pair>> Workspace::scan(const Range& range, size_t limit, bool keys_only, Rely rely) {
  std::vector<std::string> of_view;
  std::vector<Pair> out = TRY(merged(range, limit, keys_only, &of_view));
  if (rely == Rely::no || !with_checks_) return out;
  Checks::Unchanged seen{range, std::move(of_view)};
  if (out.size() == limit && limit > 0) seen.range.end = out.back().key + '\0';
  std::erase_if(seen.keys, [&](const std::string& key) { return key >= seen.range.end; });
  for (const std::string& key : seen.keys) bytes_ += key.size();
  bytes_ += range.begin.size() + range.end.size();
  checks_.ranges.push_back(std::move(seen));
  return out;
}

// That something is there holds as long as one of it is.
Result<bool> Workspace::is_empty(const Range& range, Rely rely) {
  std::vector<std::string> of_view;
  std::vector<Pair> first = TRY(merged(range, 1, true, &of_view));
  if (rely == Rely::no || !with_checks_) return first.empty();
  if (!first.empty()) {
    if (!changed(first.front().key)) rely_on(first.front().key);
    return false;
  }
  checks_.ranges.push_back({range, std::move(of_view)});
  bytes_ += range.begin.size() + range.end.size();
  return true;
}

void Workspace::change(const std::string& key, Value value) {
  bytes_ += key.size() + (value ? value->size() : 0);
  for (const Range& range : changes_.deleted) overlaps_ |= range.contains(key);
  auto [at, is_new] = changes_.keys.try_emplace(key);
  undo_.push_back({key, !is_new, std::move(at->second)});
  at->second = std::move(value);
}

Status Workspace::erase_range(const Range& range) {
  if (!deletes_ranges_) {
    for (const Pair& pair : TRY(scan(range, SIZE_MAX, true, Rely::no))) erase(pair.key);
    return {};
  }
  // What earlier operations put there goes with it.
  auto at = changes_.keys.lower_bound(range.begin);
  while (at != changes_.keys.end() && at->first < range.end) {
    undo_.push_back({at->first, true, std::move(at->second)});
    at = changes_.keys.erase(at);
  }
  bytes_ += range.begin.size() + range.end.size();
  changes_.deleted.push_back(range);
  return {};
}

void Workspace::begin() {
  undo_.clear();
  deleted_before_ = changes_.deleted.size();
  overlaps_ = false;
}

void Workspace::undo() {
  for (auto at = undo_.rbegin(); at != undo_.rend(); ++at) {
    if (at->was_changed) {
      changes_.keys[at->key] = std::move(at->before);
    } else {
      changes_.keys.erase(at->key);
    }
  }
  changes_.deleted.resize(deleted_before_);
  undo_.clear();
  overlaps_ = false;
}

// A check of a range looks at the range and at each of its keys.
size_t Workspace::parts() const {
  size_t checks = checks_.keys.size();
  for (const Checks::Unchanged& range : checks_.ranges) checks += 1 + range.keys.size();
  return std::max(checks, changes_.keys.size() + changes_.deleted.size());
}

}  // namespace cider::meta::kv
