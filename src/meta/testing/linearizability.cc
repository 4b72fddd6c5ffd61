#include "meta/testing/linearizability.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace cider::meta::testing {
namespace {

class Search {
 public:
  Search(const NameHistory& history, bool has_trash) : history_(history), done_(history.size()) {
    size_t places = 0;
    for (const NameOp& op : history) {
      places = std::max({places, op.place + 1, op.target + 1});
      if (op.outcome_known()) ++left_;
    }
    names_.at.resize(places);
    names_.has_trash = has_trash;
    find_inodes();
  }

  bool inode_made_twice() const { return made_twice_; }
  bool find_order() {
    if (left_ == 0) return true;
    if (!tried_.emplace(done_, names_).second) return false;
    const uint64_t until = first_return(done_);
    for (size_t i = 0; i < history_.size() && history_[i].invoked < until; ++i) {
      if (!done_[i] && find_order_with(i)) return true;
    }
    return false;
  }
  // The longest order found, and which operations then could not go on.
  std::string farthest() const {
    std::string text = "\nThis order explains most:";
    std::vector<bool> done(history_.size());
    for (size_t i : longest_) {
      done[i] = true;
      text += "\n  " + history_[i].to_string();
    }
    const uint64_t until = first_return(done);
    text += "\nNone of these can come next:";
    for (size_t i = 0; i < history_.size() && history_[i].invoked < until; ++i) {
      if (!done[i]) text += "\n  " + history_[i].to_string();
    }
    return text;
  }

 private:
  // Inodes that were seen, but that no answer calls new, were made by operations of unknown outcome, or are
  // whiteouts.
  void find_inodes() {
    std::set<Ino> made;
    std::set<Ino> seen;
    for (const NameOp& op : history_) {
      if (!op.outcome_known() || op.answer.error != 0) continue;
      if (op.call == NameCall::create || op.call == NameCall::mkdir || op.answer.created)
        made_twice_ |= !made.insert(op.answer.ino).second;
      else
        seen.insert({op.answer.ino, op.answer.replaced});
    }
    seen.erase(0);
    std::ranges::set_difference(seen, made, std::back_inserter(of_unknown_origin_));
  }

  // No operation that was invoked later can come next.
  uint64_t first_return(const std::vector<bool>& done) const {
    uint64_t first = NameOp::kNever;
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!done[i]) first = std::min(first, history_[i].returned);
    }
    return first;
  }

  // Tries all orders that go on with operation i.
  bool find_order_with(size_t i) {
    const NameOp& op = history_[i];
    if (op.outcome_known() && !op.makes_whiteout()) return find_order_with(i, op.answer.ino);
    NameTable after = names_;
    const Ino nobody = NameOp::kNever - i;
    if (apply(op, nobody, &after); after.names_of(nobody) == 0) return find_order_with(i, 0);
    for (Ino ino : of_unknown_origin_) {
      if (names_.names_of(ino) == 0 && find_order_with(i, ino)) return true;
    }
    return find_order_with(i, nobody);  // who ever saw it
  }

  bool find_order_with(size_t i, Ino fresh) {
    const NameOp& op = history_[i];
    NameTable before = names_;
    NameAnswer answer = apply(op, fresh, &names_);
    bool fits = op.outcome_known() ? answer == op.answer : answer.error == 0;
    bool found = false;
    if (fits) {
      done_[i] = true;
      order_.push_back(i);
      if (op.outcome_known()) --left_;
      if (order_.size() > longest_.size()) longest_ = order_;
      found = find_order();
      if (op.outcome_known()) ++left_;
      order_.pop_back();
      done_[i] = false;
    }
    names_ = std::move(before);
    return found;
  }

  const NameHistory& history_;  // by invocation
  std::vector<bool> done_;
  NameTable names_;
  size_t left_ = 0;  // operations of known outcome that are not done
  std::vector<size_t> order_;
  std::vector<size_t> longest_;
  std::vector<Ino> of_unknown_origin_;
  bool made_twice_ = false;
  std::set<std::pair<std::vector<bool>, NameTable>> tried_;
};

}  // namespace

std::optional<std::string> why_not_linearizable(NameHistory history, bool has_trash) {
  std::ranges::sort(history, {}, &NameOp::invoked);
  Search search(history, has_trash);
  if (search.inode_made_twice()) return "an inode was made twice" + to_string(history);
  if (search.find_order()) return std::nullopt;
  return "no order explains these answers:" + to_string(history) + search.farthest();
}

}  // namespace cider::meta::testing
