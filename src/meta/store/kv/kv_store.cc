#include "meta/store/kv/kv_store.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

#include "base/interruptible_sleep.h"
#include "base/log.h"
#include "meta/store/kv/changes.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/questions.h"
#include "meta/store/kv/scans.h"
#include "meta/store/kv/volume.h"

namespace cider::meta::kv {
namespace {

constexpr size_t kDirectoriesPerCommit = 50;
constexpr std::chrono::seconds kLastFlush{5};

// Answers from what the operations of one commit see, the usage that they change too.
class WorkFetcher final : public Fetcher {
 public:
  WorkFetcher(Workspace& work, const UsageTally& tally, const PendingUsage& pending)
      : work_(work), tally_(tally), pending_(pending) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    TRY(answer(items, work_));
    for (ReadItem* item : items) {
      auto* usage = std::get_if<UsageRead>(item);
      if (!usage) {
        pending_.complete(item);
        continue;
      }
      const UsageRead more = TRY(tally_.uncounted(work_));
      usage->space += more.space;
      usage->inodes += more.inodes;
    }
    return {};
  }

 private:
  Workspace& work_;
  const UsageTally& tally_;
  const PendingUsage& pending_;
};

// Answers each flight at one instant.
class ViewFetcher final : public Fetcher {
 public:
  ViewFetcher(Database& database, const PendingUsage& pending, std::stop_token stop)
      : database_(database), pending_(pending), stop_(std::move(stop)) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    const std::unique_ptr<View> view = TRY(database_.view(stop_));
    Workspace work(*view, false, false);
    TRY(answer(items, work));
    for (ReadItem* item : items) pending_.complete(item);
    return {};
  }

 private:
  Database& database_;
  const PendingUsage& pending_;
  const std::stop_token stop_;
};

bool makes_holes(const std::vector<WriteItem>& writes) {
  for (const WriteItem& item : writes) {
    if (std::holds_alternative<HoleOverChunks>(item)) return true;
  }
  return false;
}

}  // namespace

KvStore::KvStore(std::shared_ptr<Database> database)
    : database_(std::move(database)),
      tally_([this](const UsageRead& counted) { pending_.counted(counted); }),
      runner_(*database_, [this](const Changes& changes) { tally_.made(changes); }),
      pending_(
          [this](const UsageSums& sums, const std::stop_token& stop) { return write_usage(sums, stop); }) {
  if (!database_->read_only()) pending_.start();
}

KvStore::~KvStore() {
  if (database_->read_only()) return;
  pending_.stop();
  std::stop_source give_up;
  const std::jthread limit([&](const std::stop_token& done) {
    if (interruptible_sleep(kLastFlush, done)) give_up.request_stop();
  });
  Status flushed = pending_.flush(give_up.get_token());
  // What it found out about a flush that was interrupted.
  if (flushed) flushed = pending_.flush(give_up.get_token());
  if (!flushed) {
    log::warning(describe() + ": usage of the last second was not written: " + flushed.error().to_string());
  } else if (Status left = leave(give_up.get_token()); !left) {
    log::debug(describe() + ": records of usage are left behind: " + left.error().to_string());
  }
}

Status KvStore::leave(const std::stop_token& stop) {
  return runner_.run([&](Workspace& work) { return tally_.leave(work); }, stop);
}

Status KvStore::sync() {
  TRY(pending_.flush());
  return database_->sync();
}

// As many directories as fit into commits of a modest size. What was written before an error is taken off
// what stays pending.
Status KvStore::write_usage(const UsageSums& sums, const std::stop_token& stop) {
  bool counts = sums.space != 0 || sums.inodes != 0;
  std::vector<WriteItem> portion;
  std::vector<WriteItem> written;
  const auto commit = [&]() -> Status {
    TRY(runner_.run(
        [&](Workspace& work) -> Status {
          std::vector<std::string> keys = counts ? tally_.keys() : std::vector<std::string>{};
          for (const WriteItem& item : portion) keys.push_back(dir_stat_key(std::get<AddDirStat>(item).ino));
          TRY(work.load(std::move(keys)));
          if (counts) TRY(tally_.count(work));
          return apply_all(portion, work);
        },
        stop,
        [this, portion](bool late) {
          if (late) take_off(portion);
        }));
    written.insert(written.end(), portion.begin(), portion.end());
    portion.clear();
    counts = false;
    return {};
  };
  Status done;
  for (const auto& [ino, delta] : sums.dirs) {
    portion.emplace_back(AddDirStat{ino, delta});
    if (portion.size() < kDirectoriesPerCommit) continue;
    if (done = commit(); !done) break;
  }
  if (done && (counts || !portion.empty())) done = commit();
  if (done) return {};
  take_off(written);
  return done;
}

// What is written is not pending.
void KvStore::take_off(const std::vector<WriteItem>& written) {
  for (const WriteItem& item : written) {
    const auto& dir = std::get<AddDirStat>(item);
    pending_.add(AddDirStat{dir.ino, {-dir.delta.length, -dir.delta.space, -dir.delta.inodes}});
  }
}

// Statistics of directories would be lost with the client; an embedded engine writes them at once.
bool KvStore::waits(const WriteItem& item) const {
  if (std::holds_alternative<AddUsage>(item)) return true;
  return database_->exclusive() == nullptr && std::holds_alternative<AddDirStat>(item);
}

Status KvStore::run(Operation operation, std::stop_token stop) {
  const auto writes = std::make_shared<std::vector<WriteItem>>();
  // In the order of the commits: what is counted in a directory comes after the directory.
  const auto count = [this, writes](bool) {
    for (const WriteItem& item : *writes) {
      if (waits(item) || std::holds_alternative<DeleteDirStat>(item)) pending_.add(item);
    }
  };
  return runner_.run(
      [&](Workspace& work) -> Status {
        WorkFetcher fetcher(work, tally_, pending_);
        Transaction transaction(fetcher);
        TRY(operation(transaction));
        *writes = transaction.writes();
        std::vector<WriteItem> now;
        std::ranges::remove_copy_if(*writes, std::back_inserter(now),
                                    [this](const WriteItem& item) { return waits(item); });
        TRY(load_for(now, work));
        TRY(apply_all(now, work));
        TRY(tally_.add(*writes, work));
        if (work.parts() > database_->limits().parts && makes_holes(now))
          return fail(kTooManyChunks, "more chunks than one commit takes");
        return {};
      },
      std::move(stop), count);
}

Status KvStore::read(Operation operation, std::stop_token stop) {
  ViewFetcher fetcher(*database_, pending_, std::move(stop));
  Transaction transaction(fetcher);
  TRY(operation(transaction));
  if (!transaction.writes().empty()) return fail(EINVAL, "an operation that only reads has writes");
  return {};
}

// Asks for what is no item of a transaction.
template <class T>
Result<T> KvStore::look(FunctionRef<Result<T>(Workspace&)> question, std::stop_token stop) {
  const std::unique_ptr<View> view = TRY(database_->view(std::move(stop)));
  Workspace work(*view, false, false);
  return question(work);
}

// What the last run of `work` answered counts.
template <class T>
Result<T> KvStore::change(FunctionRef<Result<T>(Workspace&)> work, std::stop_token stop) {
  T value{};
  TRY(runner_.run(
      [&](Workspace& space) -> Status {
        value = TRY(work(space));
        return {};
      },
      std::move(stop)));
  return value;
}

Result<std::optional<std::string>> KvStore::load_setting() {
  return look<Value>([](Workspace& work) { return work.get(std::string(kSetting), Rely::no); });
}

Status KvStore::create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash) {
  Status made = runner_.run([&](Workspace& work) { return kv::create_volume(setting, root, trash, work); });
  if (!made && made.error().code == EEXIST) return fail(EEXIST, describe() + " holds a volume already");
  return made;
}

Status KvStore::save_setting(std::string_view setting) {
  return runner_.run([&](Workspace& work) -> Status {
    work.put(std::string(kSetting), std::string(setting));
    return {};
  });
}

// The setting goes first: without it there is no volume, whatever else is still to go.
Status KvStore::destroy_volume() {
  TRY(runner_.run([&](Workspace& work) -> Status {
    work.erase(std::string(kSetting));
    return tally_.drop(work);
  }));
  const Limits limits = database_->limits();
  const size_t page = std::min<size_t>(limits.parts, 1000);
  const Range all{std::string(1, '\0'), std::string(64, '\xff')};
  bool more = true;
  while (more) {
    more = TRY(change<bool>([&](Workspace& work) -> Result<bool> {
      if (limits.deletes_ranges) {
        TRY(work.erase_range(all));
        return false;
      }
      const std::vector<Pair> pairs = TRY(work.scan(all, page, true, Rely::no));
      for (const Pair& pair : pairs) work.erase(pair.key);
      return pairs.size() == page;
    }));
  }
  return {};
}

Result<bool> KvStore::has_quotas() {
  return look<bool>([](Workspace& work) { return kv::has_quotas(work); });
}

Result<int64_t> KvStore::counter(Counter counter) {
  const int64_t stored = TRY(look<int64_t>([&](Workspace& work) { return kv::counter(counter, work); }));
  if (counter == Counter::used_space) return stored + pending_.pending().space;
  if (counter == Counter::total_inodes) return stored + pending_.pending().inodes;
  return stored;
}
Result<int64_t> KvStore::add_counter(Counter counter, int64_t delta, std::stop_token stop) {
  return change<int64_t>([&](Workspace& work) { return kv::add_counter(counter, delta, work); },
                         std::move(stop));
}
Result<bool> KvStore::set_if_small(Counter counter, int64_t value, int64_t diff) {
  return change<bool>([&](Workspace& work) { return kv::set_if_small(counter, value, diff, work); });
}

Result<std::optional<AclRule>> KvStore::acl(uint32_t id, std::stop_token stop) {
  return look<std::optional<AclRule>>([&](Workspace& work) { return kv::acl(id, work); }, std::move(stop));
}
Result<uint32_t> KvStore::intern_acl(const AclRule& rule, std::stop_token stop) {
  return change<uint32_t>([&](Workspace& work) { return kv::intern_acl(rule, work); }, std::move(stop));
}

Result<std::vector<ListedEntry>> KvStore::list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                                   std::stop_token stop) {
  return kv::list_dir(*TRY(database_->view(std::move(stop))), dir, cursor, limit, with_attrs);
}

Status KvStore::put_session(const SessionRecord& session, std::stop_token stop) {
  return runner_.run(
      [&](Workspace& work) -> Status {
        kv::put_session(session, work);
        return tally_.join(session.sid, work);
      },
      std::move(stop));
}
// Client by client: who is told twice is counted once.
Status KvStore::count_left_usage(int64_t now) {
  if (database_->read_only()) return {};
  for (const LeftTally& left : TRY(left_tallies(*TRY(database_->view({})), tally_.client(), now)))
    TRY(runner_.run([&](Workspace& work) { return settle_tally(left, now, work); }));
  return {};
}
Status KvStore::refresh_session(uint64_t sid, int64_t expire, std::stop_token stop) {
  return runner_.run([&](Workspace& work) { return kv::refresh_session(sid, expire, work); },
                     std::move(stop));
}
Result<std::vector<SessionRecord>> KvStore::list_sessions() {
  return kv::list_sessions(*TRY(database_->view({})));
}
Result<std::vector<Ino>> KvStore::sustained_inodes(uint64_t sid) {
  return kv::sustained_inodes(*TRY(database_->view({})), sid);
}
Result<std::vector<RecordLockOwner>> KvStore::session_locks(uint64_t sid) {
  return kv::session_locks(*TRY(database_->view({})), sid);
}

Result<std::vector<DeletedFile>> KvStore::deleted_files(int64_t before, size_t limit) {
  return kv::deleted_files(*TRY(database_->view({})), before, limit);
}
Result<std::vector<uint32_t>> KvStore::chunks_of(Ino ino, uint64_t) {
  return kv::chunks_of(*TRY(database_->view({})), ino);
}
Result<std::vector<DelayedSlice>> KvStore::unreferenced_slices(size_t limit) {
  return kv::unreferenced_slices(*TRY(database_->view({})), limit);
}
Result<std::vector<DelayedRow>> KvStore::delayed_slices(int64_t before, size_t limit) {
  return kv::delayed_slices(*TRY(database_->view({})), before, limit);
}

Result<std::vector<ChunkRow>> KvStore::scan_chunks(TableCursor* cursor, size_t limit) {
  return kv::scan_chunks(*TRY(database_->view({})), cursor, limit);
}
Result<std::vector<SliceCount>> KvStore::scan_slice_counts(TableCursor* cursor, size_t limit) {
  return kv::scan_slice_counts(*TRY(database_->view({})), cursor, limit);
}
Result<std::vector<DelayedList>> KvStore::scan_delayed(TableCursor* cursor, size_t limit) {
  return kv::scan_delayed(*TRY(database_->view({})), cursor, limit);
}
Result<std::vector<DeletedFile>> KvStore::scan_deleted_files(TableCursor* cursor, size_t limit) {
  return kv::scan_deleted_files(*TRY(database_->view({})), cursor, limit);
}

}  // namespace cider::meta::kv
