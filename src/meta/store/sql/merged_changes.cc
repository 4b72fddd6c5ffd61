#include "meta/store/sql/merged_changes.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "meta/store/sql/repeated.h"

namespace cider::meta::sql {
namespace {

using Key = std::pair<Ino, std::string>;  // of an inode, with "", or of an entry

std::optional<Key> key_of(const WriteItem& item) {
  const auto node = [](Ino ino) { return std::optional(Key(ino, {})); };
  return std::visit(Overloaded{
                        [&](const InsertNode& w) { return node(w.ino); },
                        [&](const PatchNode& w) { return node(w.ino); },
                        [&](const DeleteNode& w) { return node(w.ino); },
                        [&](const SetSymlink& w) { return node(w.ino); },
                        [&](const SetXattr& w) { return node(w.ino); },
                        [&](const RemoveXattr& w) { return node(w.ino); },
                        [](const InsertEntry& w) { return std::optional(Key(w.parent, w.name)); },
                        [](const ReplaceEntry& w) { return std::optional(Key(w.parent, w.name)); },
                        [](const DeleteEntry& w) { return std::optional(Key(w.parent, w.name)); },
                        [](const auto&) { return std::optional<Key>(); },
                    },
                    item);
}

bool only_adds(const PatchNode& patch) {
  return (patch.set & field::all) == 0;
}

// Puts rows of the same statement together. The changes come item by item.
class Joiner {
 public:
  Joiner(std::vector<Change>* out, bool joins) : out_(*out), joins_(joins) {}

  void add(std::span<Change> changes) {
    const auto key = key_of(*changes.front().item);
    const bool first_of_key = key && named_.insert(*key).second;
    for (Change& change : changes) {
      if (!joins_ || !change.joins || !first_of_key) {
        out_.push_back(std::move(change));
        continue;
      }
      const char* text = change.statement.text;
      auto place = places_.find(text);
      if (place != places_.end() && out_[place->second].rows < static_cast<int64_t>(kMostRows)) {
        join(change, &out_[place->second]);
      } else {
        places_[text] = out_.size();
        out_.push_back(std::move(change));
      }
    }
  }
  void finish() {
    for (Change& change : out_)
      change.statement.text = repeated(change.statement.text, static_cast<size_t>(change.rows));
  }

 private:
  static void join(const Change& change, Change* into) {
    const auto& values = change.statement.values;
    into->statement.values.insert(into->statement.values.end(), values.begin(), values.end());
    ++into->rows;
  }

  std::vector<Change>& out_;
  const bool joins_;
  std::set<Key> named_;
  std::map<const char*, size_t> places_;  // in out_, by the text for one row
};

}  // namespace

// Times are moved as if the latest of them had come alone: nobody sees what is between.
bool MergedChanges::merge(const PatchNode& patch) {
  auto found = patch_of_.find(patch.ino);
  if (found == patch_of_.end()) return false;
  PatchNode& into = *found->second.patch;
  if (into.touch.has_value() != patch.touch.has_value() ||
      into.touch_ctime.has_value() != patch.touch_ctime.has_value())
    return false;
  into.nlink_delta += patch.nlink_delta;
  into.touch = std::max(into.touch, patch.touch);
  into.touch_ctime = std::max(into.touch_ctime, patch.touch_ctime);
  if (!into.after)
    into.after = patch.after;
  else if (patch.after)
    items_[found->second.item].more_after.push_back(patch.after);
  return true;
}

void MergedChanges::add(std::span<const WriteItem> writes) {
  for (const WriteItem& write : writes) {
    const auto* patch = std::get_if<PatchNode>(&write);
    if (patch && only_adds(*patch)) {
      if (merge(*patch)) continue;
      WriteItem& own = patches_.emplace_back(write);
      patch_of_[patch->ino] = {items_.size(), &std::get<PatchNode>(own)};
      items_.push_back({&own, {}});
      continue;
    }
    if (const auto key = key_of(write); key && key->second.empty()) patch_of_.erase(key->first);
    items_.push_back({&write, {}});
  }
}

void MergedChanges::append_to(std::vector<Change>* out, const ChangeContext& context) const {
  Joiner joiner(out, context.dialect.parses_every_time());
  for (const Item& item : items_) {
    std::vector<Change> changes;
    add_changes(*item.write, context, &changes);
    if (changes.empty()) continue;
    for (Change& change : changes) {
      if (change.answers) change.more_after = item.more_after;
    }
    joiner.add(changes);
  }
  joiner.finish();
}

}  // namespace cider::meta::sql
