#include "meta/store/redis/questions.h"

#include <algorithm>

#include "base/bytes.h"
#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

using Seen = const std::vector<Answer>*;

// Offsets in the inode record; length 0: parts without a fixed place.
std::string mask_of(Fields fields) {
  struct Part {
    Fields fields;
    uint8_t offset;
    uint8_t length;
  };
  static constexpr Part kParts[] = {
      {field::flags, 0, 1},   {field::type | field::mode, 1, 2},
      {field::uid, 3, 4},     {field::gid, 7, 4},
      {field::atime, 11, 12}, {field::mtime, 23, 12},
      {field::ctime, 35, 12}, {field::nlink, 47, 4},
      {field::length, 51, 8}, {field::rdev, 59, 4},
      {field::parent, 63, 8}, {field::acl, 1, 0},
      {field::tier, 2, 0},
  };
  std::string mask;
  for (const Part& part : kParts) {
    if ((fields & part.fields) == 0) continue;
    mask += static_cast<char>(part.offset);
    mask += static_cast<char>(part.length);
  }
  return mask;
}

const std::optional<std::string>& at(const Answer& answer, size_t i) {
  static const std::optional<std::string> kNothing;
  return i < answer.size() ? answer[i] : kNothing;
}

// The expected text as the script compares it: "" for nothing, '+' before anything else.
std::string marked(Seen seen, size_t i = 0) {
  if (seen == nullptr) return {};
  const auto& text = at(seen->front(), i);
  return text ? "+" + *text : std::string{};
}
std::string plain(Seen seen, size_t i = 0) {
  return seen == nullptr ? std::string{} : at(seen->front(), i).value_or("");
}

Result<std::optional<Attr>> attr_of(const std::optional<std::string>& record, Ino ino) {
  if (!record) return std::optional<Attr>{};
  auto attr = decode_attr(*record);
  if (!attr) return fail(EIO, "inode " + std::to_string(ino) + ": " + attr.error().message);
  return std::optional(*std::move(attr));
}

// --- one pair of functions per question: its checks, its answer

void add(const AttrRead& q, Seen seen, Steps* s) {
  s->check('a', inode_key(q.ino), plain(seen), mask_of(q.depends));
}
Status take(AttrRead* q, const std::vector<Answer>& answers) {
  q->value = TRY(attr_of(at(answers[0], 0), q->ino));
  return {};
}

void add(const EntryRead& q, Seen seen, Steps* s) {
  s->check('e', dir_key(q.parent), q.name, marked(seen));
}
Status take(EntryRead* q, const std::vector<Answer>& answers) {
  q->value.reset();
  if (const auto& record = at(answers[0], 0)) q->value = TRY(decode_entry(*record));
  return {};
}

void add(const LookupRead& q, Seen seen, Steps* s) {
  s->check('l', dir_key(q.parent), q.name, marked(seen), plain(seen, 1), mask_of(q.depends), s->key_prefix());
}
Status take(LookupRead* q, const std::vector<Answer>& answers) {
  q->value.reset();
  q->attr.reset();
  const auto& record = at(answers[0], 0);
  if (!record) return {};
  q->value = TRY(decode_entry(*record));
  q->attr = TRY(attr_of(at(answers[0], 1), q->value->ino));
  return {};
}

void add(const PathRead& q, Seen, Steps* s) {
  s->check('W', dir_key(q.root), s->key_prefix(), q.names.size());
  s->args.insert(s->args.end(), q.names.begin(), q.names.end());
}
Status take(PathRead* q, const std::vector<Answer>& answers) {
  q->found.clear();
  Ino dir = q->root;
  for (size_t i = 0; i < answers[0].size() / 2; ++i) {
    LookupRead step{dir, q->names[i]};
    TRY(take(&step, {{at(answers[0], 2 * i), at(answers[0], 2 * i + 1)}}));
    dir = step.value->ino;
    q->found.push_back(std::move(step));
  }
  return {};
}

void add(const DirEmptyRead& q, Seen seen, Steps* s) {
  s->check('z', dir_key(q.ino), plain(seen));
}
Status take(DirEmptyRead* q, const std::vector<Answer>& answers) {
  q->empty = at(answers[0], 0) == "1";
  return {};
}

void add(const SymlinkRead& q, Seen seen, Steps* s) {
  s->check('s', symlink_key(q.ino), marked(seen));
}
Status take(SymlinkRead* q, const std::vector<Answer>& answers) {
  q->target = at(answers[0], 0);
  return {};
}

void add(const XattrRead& q, Seen seen, Steps* s) {
  s->check('e', xattr_key(q.ino), q.name, marked(seen));
}
Status take(XattrRead* q, const std::vector<Answer>& answers) {
  q->value = at(answers[0], 0);
  return {};
}

void add(const XattrNamesRead& q, Seen, Steps* s) {
  s->check('N', xattr_key(q.ino));
}
Status take(XattrNamesRead* q, const std::vector<Answer>& answers) {
  q->names.clear();
  for (const auto& name : answers[0]) q->names.push_back(name.value_or(""));
  return {};
}

void add(const ChunkRead& q, Seen seen, Steps* s) {
  s->check('c', chunk_key(q.ino, q.index), plain(seen), q.prefix ? "prefix" : "", q.most);
}
Status take(ChunkRead* q, const std::vector<Answer>& answers) {
  q->records = at(answers[0], 0).value_or("");
  return {};
}

void add(const ChunkRangeRead& q, Seen seen, Steps* s) {
  for (uint64_t index = q.first; index <= q.last; ++index) {
    std::string expected = seen ? at((*seen)[index - q.first], 0).value_or("") : std::string{};
    s->check('c', chunk_key(q.ino, static_cast<uint32_t>(index)), expected, "", 0);
  }
}
Status take(ChunkRangeRead* q, const std::vector<Answer>& answers) {
  q->chunks.clear();
  for (size_t i = 0; i < answers.size(); ++i) {
    std::string records = at(answers[i], 0).value_or("");
    if (!records.empty()) q->chunks.emplace(q->first + static_cast<uint32_t>(i), std::move(records));
  }
  return {};
}

// A hash as pairs; checked field by field.
void add_hash(std::string key, Seen seen, Steps* s) {
  size_t n = seen ? seen->front().size() / 2 : 0;
  s->check('h', std::move(key), n);
  for (size_t i = 0; i < 2 * n; ++i) s->args.push_back(seen->front()[i].value_or(""));
}
std::vector<std::pair<std::string, std::string>> pairs(const Answer& answer) {
  std::vector<std::pair<std::string, std::string>> out;
  for (size_t i = 0; i + 1 < answer.size(); i += 2) {
    out.emplace_back(answer[i].value_or(""), answer[i + 1].value_or(""));
  }
  return out;
}

void add(const ParentsRead& q, Seen seen, Steps* s) {
  add_hash(parents_key(q.ino), seen, s);
}
Status take(ParentsRead* q, const std::vector<Answer>& answers) {
  q->parents.clear();
  for (const auto& [parent, count] : pairs(answers[0])) {
    auto ino = parse_number<Ino>(parent);
    auto n = parse_number<uint32_t>(count);
    if (!ino || !n) return fail(EIO, "parents of inode " + std::to_string(q->ino) + " do not decode");
    if (*n > 0) q->parents.emplace(*ino, *n);
  }
  return {};
}

void add(const SliceRefRead& q, Seen seen, Steps* s) {
  if (q.exact) return s->check('e', std::string(kSliceRefs), slice_field(q.id, q.size), marked(seen));
  std::string alive;
  if (seen) alive = plain(seen).starts_with('-') ? "0" : "1";
  s->check('r', std::string(kSliceRefs), slice_field(q.id, q.size), alive);
}
Status take(SliceRefRead* q, const std::vector<Answer>& answers) {
  const auto& count = at(answers[0], 0);
  auto n = count ? parse_number<int64_t>(*count) : std::optional<int64_t>(0);
  if (!n) return fail(EIO, "the count of slice " + std::to_string(q->id) + " is no number: " + *count);
  q->refs = *n + 1;
  return {};
}

void add(const FlocksRead& q, Seen seen, Steps* s) {
  add_hash(flock_key(q.ino), seen, s);
}
Status take(FlocksRead* q, const std::vector<Answer>& answers) {
  q->table.clear();
  for (const auto& [field, kind] : pairs(answers[0])) {
    auto holder = parse_holder(field);
    if (!holder || (kind != "R" && kind != "W")) {
      return fail(EIO, "a flock of inode " + std::to_string(q->ino) + " does not decode");
    }
    q->table.push_back({*holder, kind == "W" ? LockKind::write : LockKind::read});
  }
  std::ranges::sort(q->table, {}, &Flock::holder);
  return {};
}

void add(const PlocksRead& q, Seen seen, Steps* s) {
  add_hash(plock_key(q.ino), seen, s);
}
Status take(PlocksRead* q, const std::vector<Answer>& answers) {
  q->table.clear();
  for (const auto& [field, records] : pairs(answers[0])) {
    auto holder = parse_holder(field);
    if (!holder) return fail(EIO, "a record lock of inode " + std::to_string(q->ino) + " does not decode");
    q->table.push_back({*holder, TRY(decode_plock_ranges(records))});
  }
  std::ranges::sort(q->table, {}, &Plock::holder);
  return {};
}

void add(const LockWaitsRead&, Seen, Steps* s) {
  s->check('G', std::string(kLockWaits));
}
Status take(LockWaitsRead* q, const std::vector<Answer>& answers) {
  q->waits.clear();
  for (const auto& [field, record] : pairs(answers[0])) {
    auto holder = parse_holder(field);
    ByteReader in(record);
    Ino ino = in.u64();
    auto range = decode_plock_ranges(in.raw(in.remaining()));
    if (!holder || !range || range->size() != 1) continue;  // of a newer client, say
    q->waits.push_back({*holder, ino, range->front()});
  }
  return {};
}

void add(const HolderLocksRead& q, Seen, Steps* s) {
  s->check('H', locked_key(q.holder.sid), holder_field(q.holder));
}
Status take(HolderLocksRead* q, const std::vector<Answer>& answers) {
  q->inodes.clear();
  for (const auto& key : answers[0]) {
    size_t digits = key->find("lockp") + 5;
    if (auto ino = parse_number<Ino>(std::string_view(*key).substr(digits))) q->inodes.push_back(*ino);
  }
  std::ranges::sort(q->inodes);
  return {};
}

void add(const SessionRead& q, Seen seen, Steps* s) {
  std::string expected = plain(seen);
  if (!expected.empty() && !q.exact) expected = "*";
  s->check('S', std::string(kSessions), std::to_string(q.sid), expected);
}
Status take(SessionRead* q, const std::vector<Answer>& answers) {
  q->expire.reset();
  const auto& score = at(answers[0], 0);
  if (!score) return {};
  q->expire = parse_number<int64_t>(*score);
  if (!q->expire)
    return fail(EIO, "the expiry of session " + std::to_string(q->sid) + " is no number: " + *score);
  return {};
}

void add(const SustainedRead& q, Seen seen, Steps* s) {
  s->check('q', std::string(kSessions), std::to_string(q.ino), plain(seen), s->key_prefix());
}
Status take(SustainedRead* q, const std::vector<Answer>& answers) {
  q->sids.clear();
  std::string text = at(answers[0], 0).value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view word = rest.substr(0, rest.find(' '));
    if (auto sid = parse_number<uint64_t>(word)) q->sids.push_back(*sid);
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  std::ranges::sort(q->sids);
  return {};
}

void add(const UsageRead&, Seen, Steps* s) {
  s->check('V', std::string(kUsedSpace));
  s->key(kTotalInodes);
}
Status take(UsageRead* q, const std::vector<Answer>& answers) {
  q->space = parse_number<int64_t>(at(answers[0], 0).value_or("0")).value_or(0);
  q->inodes = parse_number<int64_t>(at(answers[0], 1).value_or("0")).value_or(0);
  return {};
}

void add(const DirStatRead& q, Seen, Steps* s) {
  s->check('D', std::string(kDirLength), std::to_string(q.ino));
  s->key(kDirSpace);
  s->key(kDirInodes);
}
Status take(DirStatRead* q, const std::vector<Answer>& answers) {
  q->stat.reset();
  if (!at(answers[0], 2)) return {};
  auto number = [&](size_t i) { return parse_number<int64_t>(at(answers[0], i).value_or("0")).value_or(0); };
  q->stat = DirStat{number(0), number(1), number(2)};
  return {};
}

void add(const DelayedSlicesRead& q, Seen seen, Steps* s) {
  s->check('e', std::string(kDelayedSlices), delayed_field(q.id, q.deleted), marked(seen));
}
Status take(DelayedSlicesRead* q, const std::vector<Answer>& answers) {
  q->records = at(answers[0], 0);
  return {};
}

}  // namespace

Answer answer_of(const Reply& reply) {
  Answer out;
  if (reply.kind() != Reply::Kind::array) {
    out.push_back(reply.optional_text());
    return out;
  }
  for (size_t i = 0; i < reply.size(); ++i) out.push_back(reply[i].optional_text());
  return out;
}

size_t checks_of(const ReadItem& item) {
  const auto* range = std::get_if<ChunkRangeRead>(&item);
  return range && range->first <= range->last ? size_t{range->last} - range->first + 1 : range ? 0 : 1;
}

std::string name_of(const ReadItem& item) {
  static const Keyspace kAny;
  Steps steps(kAny);
  add_checks(item, nullptr, &steps);
  std::string name = std::to_string(item.index());
  if (steps.checks == 0) return name;
  name += ' ';
  name += steps.keys.front();
  // What else tells questions of one key apart is their first argument.
  static constexpr std::string_view kWithArgument = "elrSqDH";
  if (kWithArgument.contains(steps.args[0][0])) name += ' ' + steps.args[1];
  if (steps.checks > 1) name += ' ' + steps.keys.back();
  return name;
}

void add_checks(const ReadItem& item, const std::vector<Answer>* seen, Steps* steps) {
  std::visit([&](const auto& question) { add(question, seen, steps); }, item);
}

void add_hint_checks(const ReadItem& item, const std::vector<Answer>& seen, Steps* steps) {
  ReadItem whole = item;
  if (auto* attr = std::get_if<AttrRead>(&whole)) attr->depends |= attr->answered;
  if (auto* lookup = std::get_if<LookupRead>(&whole)) lookup->depends |= lookup->answered;
  add_checks(whole, &seen, steps);
}

Status take_answers(ReadItem* item, const std::vector<Answer>& answers) {
  return std::visit(
      [&](auto& question) -> Status {
        if (answers.empty() && !std::is_same_v<std::remove_cvref_t<decltype(question)>, ChunkRangeRead>) {
          return fail(EIO, "the script left a question without an answer");
        }
        return take(&question, answers);
      },
      *item);
}

}  // namespace cider::meta::redis
