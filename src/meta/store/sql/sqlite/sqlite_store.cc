#include "meta/store/sql/sqlite/sqlite_store.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "meta/store/sql/scans.h"
#include "meta/store/sql/schema.h"
#include "meta/store/sql/sqlite/sqlite_pool.h"
#include "meta/store/sql/sqlite/sqlite_wal.h"
#include "meta/store/sql/sqlite/sqlite_writer.h"
#include "meta/store/sql/volume.h"

namespace cider::meta {

namespace {

using sqlite::Connection;
using sqlite::ReaderPool;
using sqlite::Turn;
using sqlite::Writer;

constexpr int kWriterCacheKib = 8 << 10;
constexpr int kReaderCacheKib = 1 << 10;

// Answers within the group's transaction: everything read stays true until its commit.
class WriterFetcher final : public Fetcher {
 public:
  explicit WriterFetcher(Turn& turn) : turn_(turn) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    for (ReadItem* item : items) {
      TRY(turn_.changes.answer(item));
    }
    return {};
  }

 private:
  Turn& turn_;
};

// A single question is one statement, which is one instant by itself.
class ReaderFetcher final : public Fetcher {
 public:
  explicit ReaderFetcher(Connection& db) : db_(db) {}
  Status fetch(const std::vector<ReadItem*>& items) override {
    if (items.size() == 1) return sqlite::answer(db_, items.front());
    sqlite::Snapshot snapshot = TRY(sqlite::Snapshot::begin(db_));
    for (ReadItem* item : items) TRY(sqlite::answer(db_, item));
    return {};
  }

 private:
  Connection& db_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, std::unique_ptr<Writer> writer, const Connection::Options& reader)
      : path_(std::move(path)),
        writer_(std::move(writer)),
        readers_(path_, reader, std::clamp(std::thread::hardware_concurrency(), 8U, 16U)),
        wal_(path_) {}

  std::string name() const override { return "sqlite3"; }
  std::string describe() const override { return "sqlite3://" + path_; }

  Result<std::optional<std::string>> load_setting() override {
    return sql::load_setting(*TRY(readers_.acquire()));
  }

  Status create_volume(std::string_view setting, const Attr& root,
                       const std::optional<Attr>& trash) override {
    return change([&](Turn& turn) { return sql::create_volume(turn.db, setting, root, trash); });
  }
  Status save_setting(std::string_view setting) override {
    return change([&](Turn& turn) { return sql::save_setting(turn.db, setting); });
  }
  Status destroy_volume() override {
    return change([&](Turn& turn) { return sql::drop_schema(turn.db); });
  }

  Result<bool> has_quotas() override { return sql::has_quotas(*TRY(readers_.acquire())); }

  Status run(Operation operation, std::stop_token stop) override {
    if (!writer_) return read_only();
    return writer_->run(
        [&](Turn& turn) -> Status {
          WriterFetcher fetcher(turn);
          Transaction transaction(fetcher);
          TRY(operation(transaction));
          if (transaction.writes().empty()) return {};
          turn.wrote = true;
          for (const WriteItem& item : transaction.writes()) TRY(turn.changes.apply(item));
          return {};
        },
        std::move(stop));
  }

  Status read(Operation operation, std::stop_token) override {
    ReaderPool::Lease lease = TRY(readers_.acquire());
    ReaderFetcher fetcher(*lease);
    Transaction transaction(fetcher);
    TRY(operation(transaction));
    if (!transaction.writes().empty()) return fail(EINVAL, "an operation that only reads has writes");
    return {};
  }

  Status sync() override { return wal_.sync(); }

  Result<int64_t> counter(Counter counter) override {
    return sql::counter(*TRY(readers_.acquire()), counter);
  }
  Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token) override {
    return change_and_answer<int64_t>([&](Turn& turn) { return sql::add_counter(turn.db, counter, delta); });
  }
  Result<uint64_t> highest_id(Counter counter) override {
    return sql::highest_id(*TRY(readers_.acquire()), counter);
  }
  Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) override {
    return change_and_answer<bool>(
        [&](Turn& turn) { return sql::set_if_small(turn.db, counter, value, diff); });
  }

  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token) override {
    return sql::acl(*TRY(readers_.acquire()), id);
  }
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token) override {
    return change_and_answer<uint32_t>([&](Turn& turn) { return sql::intern_acl(turn.db, rule); });
  }

  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            std::stop_token) override {
    ReaderPool::Lease lease = TRY(readers_.acquire());
    sqlite::Snapshot snapshot = TRY(sqlite::Snapshot::begin(*lease));
    return sql::list_dir(*lease, dir, cursor, limit, with_attrs);
  }

  Status put_session(const SessionRecord& session, std::stop_token) override {
    if (writer_) writer_->pace().add_own(session.sid);
    return change([&](Turn& turn) { return sql::put_session(turn.db, session); });
  }
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token) override {
    return change([&](Turn& turn) { return sql::refresh_session(turn.db, sid, expire); });
  }
  Result<std::vector<SessionRecord>> list_sessions() override {
    return sql::list_sessions(*TRY(readers_.acquire()));
  }
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override {
    return sql::sustained_inodes(*TRY(readers_.acquire()), sid);
  }
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override {
    ReaderPool::Lease lease = TRY(readers_.acquire());
    sqlite::Snapshot snapshot = TRY(sqlite::Snapshot::begin(*lease));
    return sql::session_locks(*lease, sid);
  }

  Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) override {
    return sql::deleted_files(*TRY(readers_.acquire()), before, limit);
  }
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t) override {
    return sql::chunks_of(*TRY(readers_.acquire()), ino);
  }
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) override {
    return sql::unreferenced_slices(*TRY(readers_.acquire()), limit);
  }
  Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) override {
    return sql::delayed_slices(*TRY(readers_.acquire()), before, limit);
  }

  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) override {
    return sql::scan_chunks(*TRY(readers_.acquire()), cursor, limit);
  }
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) override {
    return sql::scan_slice_counts(*TRY(readers_.acquire()), cursor, limit);
  }
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) override {
    return sql::scan_delayed(*TRY(readers_.acquire()), cursor, limit);
  }
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) override {
    return sql::scan_deleted_files(*TRY(readers_.acquire()), cursor, limit);
  }

 private:
  Status read_only() const { return fail(EROFS, describe() + " was opened for reading only"); }

  // A change that is no operation: `work` is Status(Turn&).
  template <class Work>
  Status change(Work work) {
    if (!writer_) return read_only();
    return writer_->run([&](Turn& turn) -> Status {
      turn.wrote = true;
      return work(turn);
    });
  }
  // `work` is Result<T>(Turn&); what its last run answered counts.
  template <class T, class Work>
  Result<T> change_and_answer(Work work) {
    T value{};
    Status status = change([&](Turn& turn) -> Status {
      value = TRY(work(turn));
      return {};
    });
    if (!status) return fail(status.error());
    return value;
  }

  const std::string path_;
  std::unique_ptr<Writer> writer_;  // null: read-only
  ReaderPool readers_;
  sqlite::WalFile wal_;
};

// What SQLite says of a file that it cannot open is poor.
Status check_path(const std::string& path, const SqliteOptions& options) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return fail_errno(path);
    if (!options.create) return fail(ENOENT, "no database at " + path);
    auto folder = std::filesystem::path(path).parent_path();
    if (access(folder.c_str(), W_OK | X_OK) != 0) return fail_errno("cannot make " + path);
    return {};
  }
  if (S_ISDIR(info.st_mode)) return fail(EISDIR, path + " is a folder, not a SQLite database");
  if (!S_ISREG(info.st_mode)) return fail(EINVAL, path + " is not a regular file");
  if (access(path.c_str(), options.read_only ? R_OK : R_OK | W_OK) != 0) return fail_errno(path);
  return {};
}

// SQLite wants to make `-shm` and `-wal` even for reading. Where that is impossible nobody else can write
// either, and without a log all there is stands in the file itself.
bool is_immutable(const std::string& path) {
  struct statvfs fs;
  struct stat log;
  if (statvfs(path.c_str(), &fs) != 0 || !(fs.f_flag & ST_RDONLY)) return false;
  return stat((path + "-wal").c_str(), &log) != 0 || log.st_size == 0;
}

// Volumes of older clients lack tables and columns that were added since.
Status check_schema(Connection& db, const SqliteOptions& options) {
  if (!TRY(sql::load_setting(db)) || TRY(sql::schema_is_complete(db))) return {};
  if (options.read_only) {
    return fail(
        EROFS, "the volume's tables are of an older client; mount it once for writing, which completes them");
  }
  TRY(db.execute("BEGIN IMMEDIATE"));
  Status status = sql::complete_schema(db);
  if (status)
    TRY(db.execute("COMMIT"));
  else
    db.rollback();
  return status;
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options) {
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(path, error);
  if (path.empty() || error) return fail(EINVAL, "no valid path of a database: \"" + path + "\"");
  if (options.create && options.read_only) return fail(EINVAL, "a database cannot be made for reading only");
  TRY(check_path(absolute, options));

  Connection::Options first;
  first.mode = options.create ? Connection::Mode::create : Connection::Mode::read_write;
  if (options.read_only)
    first.mode = is_immutable(absolute) ? Connection::Mode::immutable : Connection::Mode::read_only;
  first.busy_limit = options.busy_limit;
  first.cache_kib = kWriterCacheKib;
  auto connection = TRY(Connection::open(absolute, first));
  TRY(check_schema(*connection, options));

  Connection::Options reader = first;
  if (!options.read_only) reader.mode = Connection::Mode::read_write;
  reader.query_only = true;
  reader.cache_kib = kReaderCacheKib;
  std::unique_ptr<Writer> writer;
  if (!options.read_only) writer = std::make_unique<Writer>(std::move(connection));
  return std::make_unique<SqliteStore>(absolute, std::move(writer), reader);
}

}  // namespace cider::meta
