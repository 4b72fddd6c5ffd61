// What the operations of one commit see: a view of the database with their changes over it. Remembers what
// they relied on, for the commit to check, and takes back what one of them changed if it fails.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

enum class Rely {
  yes,  // the commit holds only if it is still so
  no,
};

// Not thread-safe.
class Workspace {
 public:
  // Checks are remembered if `with_checks`; `deletes_ranges`: the engine does, else they are deleted by key.
  Workspace(View& view, bool with_checks, bool deletes_ranges)
      : view_(view), with_checks_(with_checks), deletes_ranges_(deletes_ranges) {}

  Result<Value> get(const std::string& key, Rely rely);
  // Asks the view for all that is not known yet at once, so that get() of these asks nobody.
  Status load(std::vector<std::string> keys);
  // What the view has shown of the key; null: it was not asked.
  const Value* known(const std::string& key) const;
  void want_present(const std::string& key) { view_.want_present(key); }
  void expect_absent(const std::string& key) { view_.expect_absent(key); }
  std::optional<Value> guess(const std::string& key) { return view_.guess(key); }
  // At most `limit` pairs. What the view is relied on for is the range as far as it was looked at.
  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only, Rely rely);
  // Whether nothing is in the range.
  Result<bool> is_empty(const Range& range, Rely rely);

  // What the operations of this commit have made of the key; null: nothing.
  const Value* changed(const std::string& key) const;
  void put(const std::string& key, std::string value) { change(key, std::move(value)); }
  void erase(const std::string& key) { change(key, std::nullopt); }
  Status erase_range(const Range& range);

  // The changes since begin() are one operation's.
  void begin();
  void undo();
  // An operation changed what an earlier one had deleted with its range: they can't be of one commit.
  bool overlaps() const { return overlaps_; }
  // The view failed: what was answered since means nothing.
  const Status& view_status() const { return view_status_; }

  const Checks& checks() const { return checks_; }
  const Changes& changes() const { return changes_; }
  size_t parts() const;
  size_t bytes() const { return bytes_; }

 private:
  void change(const std::string& key, Value value);
  void rely_on(const std::string& key);
  Result<std::vector<Pair>> merged(const Range& range, size_t limit, bool keys_only,
                                   std::vector<std::string>* of_view);

  template <class T>
  Result<T> noted(Result<T> of_view) {
    if (!of_view) view_status_ = fail(of_view.error());
    return of_view;
  }

  struct Undo {
    std::string key;
    bool was_changed = false;
    Value before;
  };

  View& view_;
  const bool with_checks_;
  const bool deletes_ranges_;
  std::unordered_map<std::string, Value> known_;  // of the view
  Changes changes_;
  Checks checks_;
  size_t bytes_ = 0;  // of changes and checks, roughly: what was undone may be counted
  std::vector<Undo> undo_;
  size_t deleted_before_ = 0;
  bool overlaps_ = false;
  Status view_status_;
};

}  // namespace cider::meta::kv
