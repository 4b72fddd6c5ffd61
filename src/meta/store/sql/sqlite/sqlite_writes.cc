#include "meta/store/sql/sqlite/sqlite_writes.h"

#include <variant>

#include "meta/store/path_walk.h"
#include "meta/store/sql/questions.h"
#include "meta/store/sql/schema.h"

namespace cider::meta::sqlite {

namespace {

void add_to(DirStat* sum, const DirStat& delta) {
  sum->length += delta.length;
  sum->space += delta.space;
  sum->inodes += delta.inodes;
}

}  // namespace

Status answer(Connection& db, ReadItem* item) {
  if (auto* path = std::get_if<PathRead>(item)) {
    return walk_path(path, [&](LookupRead* step) -> Status {
      ReadItem question = std::move(*step);
      TRY(answer(db, &question));
      *step = std::get<LookupRead>(std::move(question));
      return {};
    });
  }
  if (auto* waits = std::get_if<LockWaitsRead>(item); waits && !TRY(sql::has_lock_waits(db))) {
    waits->waits.clear();
    return {};
  }
  Query rows = TRY(db.start(sql::question(*item)));
  return sql::take(item, rows);
}

Status Changes::answer(ReadItem* item) {
  TRY(sqlite::answer(db_, item));
  if (auto* usage = std::get_if<UsageRead>(item)) {
    usage->space += sums_.space;
    usage->inodes += sums_.inodes;
  } else if (auto* dir = std::get_if<DirStatRead>(item); dir && dir->stat) {
    auto pending = sums_.dirs.find(dir->ino);
    if (pending != sums_.dirs.end()) add_to(&*dir->stat, pending->second);
  }
  return {};
}

Status Changes::run(const sql::Change& change) {
  if (change.answers) {
    Query rows = TRY(db_.start(change.statement));
    return sql::take(change, rows);
  }
  auto changed = db_.change(change.statement);
  if (changed) return sql::check(change, *changed);
  if (changed.error().code == EEXIST && change.taken != 0)
    return fail(change.taken, std::move(changed).error().message);
  return fail(std::move(changed).error());
}

// Our own table is made at the first wait.
Status Changes::prepare_lock_waits(const WriteItem& item, bool* present) {
  const bool makes = std::holds_alternative<PutLockWait>(item);
  const bool needs =
      makes || std::holds_alternative<DeleteLockWait>(item) || std::holds_alternative<DeleteSession>(item);
  *present = needs && TRY(sql::has_lock_waits(db_));
  if (makes && !*present) TRY(sql::create_lock_waits(db_));
  return {};
}

Status Changes::apply(const WriteItem& item) {
  if (const auto* usage = std::get_if<AddUsage>(&item)) {
    sums_.space += usage->space;
    sums_.inodes += usage->inodes;
  } else if (const auto* dir = std::get_if<AddDirStat>(&item)) {
    add_to(&sums_.dirs[dir->ino], dir->delta);
  } else {
    // What was summed up before belongs to no row, or to the one that is replaced.
    if (const auto* made = std::get_if<CreateDirStat>(&item)) sums_.dirs.erase(made->ino);
    if (const auto* gone = std::get_if<DeleteDirStat>(&item)) sums_.dirs.erase(gone->ino);
    sql::ChangeContext context{db_.dialect()};
    TRY(prepare_lock_waits(item, &context.has_lock_waits));
    changes_.clear();
    sql::add_changes(item, context, &changes_);
    for (const sql::Change& change : changes_) TRY(run(change));
  }
  return {};
}

void Changes::discard() {
  sums_ = {};
}

Status Changes::flush() {
  if (sums_.empty()) return {};
  changes_.clear();
  sql::add_usage_changes(sums_, &changes_);
  for (const sql::Change& change : changes_) TRY(run(change));
  discard();
  return {};
}

}  // namespace cider::meta::sqlite
