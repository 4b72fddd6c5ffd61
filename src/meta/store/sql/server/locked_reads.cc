#include "meta/store/sql/server/locked_reads.h"

#include <utility>

namespace cider::meta::sql::server {
namespace {

constexpr const char* kBegin = "BEGIN";
constexpr const char* kMark =
    "INSERT INTO cider_op (client,slot,seq) VALUES (?,?,?) {on conflict client,slot}seq={new seq}";

}  // namespace

LockedReads::LockedReads(Pool::Lease& lease, const Prediction& prediction, Hints& hints,
                         const PendingUsage& usage, const std::string& client, int64_t seq,
                         std::stop_token stop)
    : lease_(lease),
      prediction_(prediction),
      hints_(hints),
      usage_(usage),
      client_(client),
      seq_(seq),
      stop_(std::move(stop)) {}

Status LockedReads::fetch(const std::vector<ReadItem*>& items) {
  // A second flight for the inodes of entries that were found.
  for (;;) {
    Parts missing;
    for (ReadItem* item : items) {
      if (!answer_from(known_, item)) add_parts(*item, known_, &missing);
    }
    std::erase_if(missing, [this](const auto& part) { return known_.contains(part.first); });
    if (missing.empty()) return {};
    if (Status asked = ask(std::move(missing)); !asked) {
      failure_ = asked;
      return asked;
    }
  }
}

// With the first flight goes what is predicted to be asked later.
Status LockedReads::ask(Parts parts) {
  if (!asked_) {
    asked_ = true;
    Parts first = prediction_.parts;
    first.merge(parts);
    return begin_and_ask(std::move(first));
  }
  return begin_and_ask(std::move(parts));
}

void LockedReads::add_beginning(const std::string& client, uint64_t slot, int64_t seq,
                                std::vector<Statement>* out) {
  out->emplace_back(kBegin);
  out->emplace_back(kMark, std::string_view(client), slot, seq);
}

Status LockedReads::begin_and_ask(Parts parts) {
  std::vector<Statement> statements;
  if (!begun_) {
    add_beginning(client_, lease_.member().slot, seq_, &statements);
  } else if (lease_->dialect().kind() == Dialect::Kind::postgres) {
    // Out of the order of places: who waits in a circle shall not wait for long.
    statements.emplace_back("SET LOCAL lock_timeout='100ms'");
  }
  const size_t ahead = statements.size();
  const std::vector<SharedQuestion> questions = questions_for(parts);
  for (const SharedQuestion& question : questions) {
    Statement& statement = statements.emplace_back(question.statement());
    statement.lock = prediction_.lock_of(question.parts.front()->first);
  }
  std::vector<Outcome> outcomes;
  TRY(lease_->flight(statements, &outcomes, stop_));
  begun_ = true;
  for (size_t i = 0; i < questions.size(); ++i) TRY(questions[i].take(*outcomes[ahead + i].rows));
  for (auto& [place, part] : parts) {
    locks_[place] = prediction_.lock_of(place);
    hints_.remember(part);
    usage_.complete(&part);
    known_.insert_or_assign(place, std::move(part));
  }
  return {};
}

// Neighbours in the order of places, so that rows are locked in this order.
std::vector<SharedQuestion> LockedReads::questions_for(Parts& parts) const {
  std::vector<SharedQuestion> out;
  for (auto& part : parts) {
    const bool joins =
        lease_->dialect().parses_every_time() && !out.empty() &&
        prediction_.lock_of(out.back().parts.front()->first) == prediction_.lock_of(part.first);
    if (!joins || !out.back().add(part)) out.push_back({{&part}});
  }
  return out;
}

Status LockedReads::prepare_writes(const std::vector<WriteItem>& writes) {
  std::map<std::string, Lock> places;
  Parts needed;
  for (const WriteItem& item : writes) {
    add_places(item, &places);
    add_backing(item, &needed);
  }
  for (const auto& [place, lock] : places) {
    auto held = locks_.find(place);
    if (held != locks_.end() && held->second == Lock::share) return fail(kRunAgain);
  }
  std::erase_if(needed, [this](const auto& part) { return known_.contains(part.first); });
  if (!begun_ || !needed.empty()) {
    if (Status asked = begin_and_ask(std::move(needed)); !asked) {
      failure_ = asked;
      return asked;
    }
  }
  for (const WriteItem& item : writes) {
    if (!is_backed(item, known_)) return fail(EIO, "a write does not match what was read");
  }
  return {};
}

}  // namespace cider::meta::sql::server
