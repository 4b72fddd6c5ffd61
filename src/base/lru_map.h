// A map of bounded size: a new key takes the place of the one that was not asked for longest.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace cider {

// Not thread-safe. Pointers stay valid until the next put(), erase() or clear().
template <class Key, class Value>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  // nullptr where the key is not there; else it counts as asked for just now.
  Value* find(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    items_.splice(items_.begin(), items_, found->second);
    return &found->second->second;
  }
  void put(const Key& key, Value value) {
    if (Value* present = find(key)) {
      *present = std::move(value);
      return;
    }
    items_.emplace_front(key, std::move(value));
    places_.emplace(key, items_.begin());
    if (items_.size() <= capacity_) return;
    places_.erase(items_.back().first);
    items_.pop_back();
  }
  void erase(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return;
    items_.erase(found->second);
    places_.erase(found);
  }
  void clear() {
    places_.clear();
    items_.clear();
  }
  size_t size() const { return items_.size(); }

 private:
  using Items = std::list<std::pair<Key, Value>>;

  const size_t capacity_;
  Items items_;  // the latest first
  std::unordered_map<Key, typename Items::iterator> places_;
};

}  // namespace cider
