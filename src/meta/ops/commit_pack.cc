// commit_pack: a slice whose one block is in the store becomes a part of several files, each of which gets a
// range of it.
//
// Reads:  every inode (type, length, parent, nlink, tier, owner); for growth of a file with several links its
//         parent map; where one has no name, or locks of ours, whether our session lives. One flight, or none
//         with hints.
// Checks: per file: it is one, may share slices, and the volume has room for its growth. Who fails is left
//         out.
// Writes: a record at the end of each one's chunk, length, mtime, ctime, usage, statistics; the slice's
//         references: as many as records. One commit.
//
// The count is written by the commit that adds all records, and only where there is none: it never is less
// than the records, whatever is deleted meanwhile, and a commit that is made again is refused.
#include <algorithm>
#include <set>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"
#include "meta/ops/slice_commit.h"

namespace cider::meta {
namespace {

using Results = std::vector<Result<Written>>;

struct Attempt {
  Results results;               // of the members, should it be committed
  std::vector<uint32_t> counts;  // records of their chunks
};

Status check_members(std::span<const PackMember> members) {
  if (members.empty() || members.size() > Meta::kMostPackMembers)
    return fail(EINVAL, "a pack of " + std::to_string(members.size()) + " members");
  std::set<Ino> inodes;
  for (const PackMember& m : members) {
    TRY(check_slice(m.index, m.slice));
    if (m.slice.id != members[0].slice.id || m.slice.size != members[0].slice.size)
      return fail(EINVAL, "the members of a pack name several slices");
    // JuiceFS's clone on key-value engines counts two records of one slice in a file as one.
    if (!inodes.insert(m.ino).second)
      return fail(EINVAL, "inode " + std::to_string(m.ino) + " is in a pack twice");
  }
  return {};
}

// Says no to a file for which no commit can be made.
Status check_inode(const OpEnv& env, Ino ino, const AttrRead& inode) {
  if (env.open_files.has_lost_locks(ino, env.sid)) return fail(ESTALE, "the locks on the file were lost");
  if (!inode.value) return fail(ENOENT);
  if (!inode.value->is_file()) return fail(EPERM);
  if (inode.value->tier != 0) return fail(EOPNOTSUPP, "a file of another tier shares no slice");
  return {};
}

Status check_sessions(Transaction& tx, const OpEnv& env, std::span<const PackMember> members,
                      std::span<AttrRead* const> inodes) {
  const bool needed = std::ranges::any_of(members, [&](const PackMember& m) {
    const AttrRead& inode = *inodes[static_cast<size_t>(&m - members.data())];
    return env.open_files.has_locks(m.ino) || (inode.value && inode.value->nlink == 0);
  });
  if (!needed) return {};
  SessionRead* session = ask_own_session(tx, env);
  TRY(tx.fetch());
  return check_own_session(session);
}

// Lets members grow one after the other as long as there is room.
class Room {
 public:
  Room(Transaction& tx, const OpEnv& env) : tx_(tx), env_(env) {}
  Status take(int64_t growth) {
    if (growth <= 0) return {};
    TRY(check_room(tx_, env_, taken_ + growth, 0));
    taken_ += growth;
    return {};
  }

 private:
  Transaction& tx_;
  const OpEnv& env_;
  int64_t taken_ = 0;
};

Status add_member(Transaction& tx, const OpEnv& env, const PackMember& member, const AttrRead& inode,
                  Room* room, Growth* growth, Result<Written>* result, uint32_t* count) {
  if (Status may = check_inode(env, member.ino, inode); !may) {
    *result = fail(std::move(may).error());
    return {};
  }
  Written written;
  written.before = written.attr = *inode.value;
  Attr& after = written.attr;
  after.length = std::max(after.length, end_of(member.index, member.slice));
  after.mtime = member.mtime;
  after.ctime = env.now;
  const int64_t space =
      static_cast<int64_t>(align4k(after.length)) - static_cast<int64_t>(align4k(written.before.length));
  if (Status has = room->take(space); !has) {
    if (has.error().code != ENOSPC && has.error().code != EDQUOT) return has;
    *result = fail(std::move(has).error());
    return {};
  }
  TRY(gather_growth(tx, env, member.ino, written.before, after.length, growth));
  std::string record;
  append_slice(&record, member.slice);
  tx.write(AppendSlices{member.ino, member.index, std::move(record), count});
  tx.write(written_patch(member.ino, after));
  *result = std::move(written);
  return {};
}

Status pack_op(Transaction& tx, const OpEnv& env, std::span<const PackMember> members, Attempt* attempt) {
  if (env.volume.change_log) return fail(EOPNOTSUPP, "a volume with a change log has no packs");
  std::vector<AttrRead*> inodes;
  for (const PackMember& m : members)
    inodes.push_back(&tx.attr(m.ino, kWrittenFields | field::tier, field::all));
  TRY(tx.fetch());
  TRY(check_sessions(tx, env, members, inodes));

  Room room(tx, env);
  Growth growth;
  int64_t refs = 0;
  attempt->results.assign(members.size(), Result<Written>(Written{}));
  attempt->counts.assign(members.size(), 0);
  for (size_t i = 0; i < members.size(); ++i) {
    Result<Written>& result = attempt->results[i];
    TRY(add_member(tx, env, members[i], *inodes[i], &room, &growth, &result, &attempt->counts[i]));
    if (result) ++refs;
  }
  if (refs == 0) return {};
  add_growth(tx, env, growth);
  tx.write(InsertSliceRef{members[0].slice.id, members[0].slice.size, refs, true});
  return {};
}

void note_try(const Results& results, std::vector<bool>* tried) {
  if (tried->empty()) tried->assign(results.size(), true);
  for (size_t i = 0; i < results.size(); ++i) (*tried)[i] = (*tried)[i] && results[i];
}

}  // namespace

// What became of the members of a commit that was made by an earlier try. Not every record is still there:
// it may have been compacted since, or cut off.
Result<Results> Meta::results_of_earlier_try(const Pack& pack, bool* any) {
  Results results;
  *any = false;
  for (size_t i = 0; i < pack.members.size(); ++i) {
    const PackMember& member = pack.members[i];
    const Result<Attr> attr = getattr(member.ino);
    if (!attr && attr.error().code != ENOENT) return fail(attr.error());
    if (!attr) {
      results.push_back(fail(attr.error()));
      continue;
    }
    const std::vector<Slice> present = TRY(chunk(member.ino, member.index));
    const bool there = std::ranges::find(present, member.slice) != present.end();
    *any |= there;
    if (there || (i < pack.tried.size() && pack.tried[i])) {
      Written written;
      written.attr = *attr;
      results.push_back(std::move(written));  // before: not known, as if somebody else had changed the file
    } else {
      results.push_back(fail(EIO, "whether a shared slice became part of the file is not known"));
    }
  }
  return results;
}

Result<Results> Meta::commit_pack(Pack* pack) {
  const OpTimer<"WritePack"> timer;
  TRY(check_writable());
  TRY(check_members(pack->members));
  Attempt attempt;
  Status done = run(Caller{}, [&](Transaction& tx, OpEnv& env) {
    attempt.results.clear();
    return pack_op(tx, env, pack->members, &attempt);
  });
  const int code = done ? 0 : done.error().code;
  if (code == EEXIST || code == kCommittedBefore) {
    bool any = false;
    Results results = TRY(results_of_earlier_try(*pack, &any));
    if (code == kCommittedBefore || any) return results;
    TRY(slice_ids_.skip_used());  // somebody else had the number, or the server has lost that it gave it out
  }
  if (!done && !attempt.results.empty()) note_try(attempt.results, &pack->tried);
  TRY(std::move(done));
  for (size_t i = 0; i < attempt.results.size(); ++i) {
    if (!attempt.results[i]) continue;
    attempt.results[i]->records = attempt.counts[i];
    attempt.results[i]->longest_chunk = pack->members[i].index;
  }
  return std::move(attempt.results);
}

}  // namespace cider::meta
