#include "meta/store/sql/server/prediction.h"

#include <set>
#include <variant>

namespace cider::meta::sql::server {
namespace {

// Answers from hints; guesses the usual where there are none.
class Guessing final : public Fetcher {
 public:
  Guessing(Hints& hints, Prediction* out) : hints_(hints), out_(*out) {}

  Status fetch(const std::vector<ReadItem*>& items) override {
    bool all_known = true;
    for (ReadItem* item : items) {
      all_known &= std::visit([this](auto& question) { return guess(question); }, *item);
      add_parts(*item, known_, &out_.parts);
    }
    if (all_known) return {};
    return fail(EAGAIN);
  }

 private:
  bool guess(AttrRead& question) {
    auto hint = hints_.attr(question.ino);
    if (hint) question.value = *hint;
    return hint.has_value();
  }
  bool guess(EntryRead& question) {
    auto hint = hints_.entry(question.parent, question.name);
    if (!hint && !question.absence_expected) return false;
    if (hint) question.value = *hint;
    return true;
  }
  bool guess(LookupRead& question) {
    auto entry = hints_.entry(question.parent, question.name);
    if (!entry && !question.absence_expected) return false;
    if (!entry || !*entry) return true;
    question.value = *entry;
    add_parts(AttrRead{question.value->ino}, known_, &out_.parts);
    auto attr = hints_.attr(question.value->ino);
    if (attr) question.attr = *attr;
    return attr.has_value();
  }
  bool guess(DirEmptyRead& question) { return question.empty = true; }
  bool guess(SliceRefRead& question) {
    question.refs = 1;
    return true;
  }
  bool guess(SessionRead& question) {
    question.expire = INT64_MAX;
    return true;
  }
  bool guess(FlocksRead&) { return true; }
  bool guess(PlocksRead&) { return true; }
  bool guess(LockWaitsRead&) { return true; }
  bool guess(UsageRead&) { return true; }
  bool guess(DirStatRead&) { return true; }
  bool guess(SustainedRead&) { return true; }
  template <class Question>
  bool guess(Question&) {
    return false;
  }

  Hints& hints_;
  Prediction& out_;
  const Parts known_;  // nothing
};

}  // namespace

Prediction predict(Operation operation, Hints& hints) {
  Prediction out;
  Guessing fetcher(hints, &out);
  Transaction tx(fetcher);
  const Status done = operation(tx);
  if (!done || tx.writes().empty()) return out;
  out.may_share = true;
  std::set<Ino> made;
  for (const WriteItem& item : tx.writes()) {
    add_places(item, &out.written);
    add_backing(item, &out.parts);
    if (const auto* node = std::get_if<InsertNode>(&item)) made.insert(node->ino);
    const auto* patch = std::get_if<PatchNode>(&item);
    if (patch && !out.busiest && !made.contains(patch->ino)) out.busiest = patch->ino;
  }
  return out;
}

void add_prediction(const Prediction& more, Prediction* out) {
  out->parts.insert(more.parts.begin(), more.parts.end());
  out->written.insert(more.written.begin(), more.written.end());
  out->may_share &= more.may_share;
}

}  // namespace cider::meta::sql::server
