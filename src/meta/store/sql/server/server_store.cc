#include "meta/store/sql/server/server_store.h"

#include "base/log.h"
#include "meta/model/volume.h"
#include "meta/store/sql/scans.h"
#include "meta/store/sql/schema.h"
#include "meta/store/sql/server/one_by_one.h"
#include "meta/store/sql/server/pool.h"
#include "meta/store/sql/server/transactions.h"
#include "meta/store/sql/server/usage_tally.h"
#include "meta/store/sql/volume.h"

namespace cider::meta::sql::server {
namespace {

class ServerStore final : public CountingStore {
 public:
  ServerStore(std::unique_ptr<Driver> driver, const ServerOptions& options)
      : driver_(std::move(driver)),
        read_only_(options.read_only),
        pool_(*driver_, options.connections),
        usage_([this](const UsageSums& sums, std::stop_token stop) {
          return transactions_.write_usage(sums, std::move(stop));
        }),
        transactions_(*driver_, pool_, usage_, [this](std::stop_token stop) { return prepare(stop); }) {
    if (!read_only_) usage_.start();
  }
  ~ServerStore() override {
    usage_.stop();
    // Not for as long as a server may be away.
    std::stop_source limit;
    std::jthread alarm([&limit](const std::stop_token& done) {
      std::mutex mutex;
      std::condition_variable_any never;
      std::unique_lock lock(mutex);
      never.wait_for(lock, done, std::chrono::seconds(10), [] { return false; });
      limit.request_stop();
    });
    if (Status flushed = usage_.flush(limit.get_token()); !flushed)
      log::warning("the volume's usage was not written: " + flushed.error().to_string());
    if (Status left = transactions_.leave(limit.get_token()); !left)
      log::debug("rows of cider_op are left behind: " + left.error().to_string());
  }

  std::string name() const override { return driver_->name(); }
  std::string describe() const override { return driver_->describe(); }
  uint64_t round_trips() const override { return driver_->round_trips(); }
  uint64_t conflicts() const override { return transactions_.conflicts(); }

  // Once, without patience: whether there is a server that lets us in, and a volume's tables are complete.
  Status open() {
    auto connection = driver_->connect({});
    if (!connection) {
      Error error = std::move(connection).error();
      if (error.code == kLost) error.code = ECONNREFUSED;
      return fail(error.code, describe() + ": " + error.message);
    }
    OneByOne session(**connection, {});
    if (!TRY(outside(sql::load_setting(session))) || TRY(outside(sql::schema_is_complete(session))))
      return {};
    if (read_only_) {
      return fail(
          EROFS,
          "the volume's tables are of an older client; mount it once for writing, which completes them");
    }
    return change({}, [](Session& db) { return sql::complete_schema(db); });
  }

  // --- the volume

  Result<std::optional<std::string>> load_setting() override {
    return ask<std::optional<std::string>>({}, [](Session& db) { return sql::load_setting(db); });
  }
  Status create_volume(std::string_view setting, const Attr& root,
                       const std::optional<Attr>& trash) override {
    return change({}, [&](Session& db) { return sql::create_volume(db, setting, root, trash); });
  }
  Status save_setting(std::string_view setting) override {
    return change({}, [&](Session& db) { return sql::save_setting(db, setting); });
  }
  Status destroy_volume() override {
    Status dropped = change({}, [](Session& db) { return sql::drop_schema(db); });
    transactions_.forget();
    return dropped;
  }
  Result<bool> has_quotas() override {
    return ask<bool>({}, [](Session& db) { return sql::has_quotas(db); });
  }

  // --- transactions

  Status run(Operation operation, std::stop_token stop) override {
    if (read_only_) return read_only();
    return outside(transactions_.run(operation, std::move(stop)));
  }
  Status read(Operation operation, std::stop_token stop) override {
    return outside(transactions_.read(operation, std::move(stop)));
  }
  // Commits are durable when they are answered.
  Status sync() override { return outside(usage_.flush()); }

  // --- counters

  Result<int64_t> counter(Counter counter) override {
    const UsageRead pending = usage_.pending();
    const int64_t stored = TRY(ask<int64_t>({}, [&](Session& db) { return sql::counter(db, counter); }));
    if (counter == Counter::used_space) return stored + pending.space;
    if (counter == Counter::total_inodes) return stored + pending.inodes;
    return stored;
  }
  Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token stop) override {
    return change_and_answer<int64_t>(stop,
                                      [&](Session& db) { return sql::add_counter(db, counter, delta); });
  }
  Result<uint64_t> highest_id(Counter counter) override {
    return ask<uint64_t>({}, [&](Session& db) { return sql::highest_id(db, counter); });
  }
  Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) override {
    return change_and_answer<bool>({},
                                   [&](Session& db) { return sql::set_if_small(db, counter, value, diff); });
  }

  // --- ACL rules

  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token stop) override {
    return ask<std::optional<AclRule>>(stop, [&](Session& db) { return sql::acl(db, id); });
  }
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token stop) override {
    return change_and_answer<uint32_t>(stop, [&](Session& db) { return sql::intern_acl(db, rule); });
  }

  // --- listings

  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            std::stop_token stop) override {
    return ask<std::vector<ListedEntry>>(
        stop, [&](Session& db) { return sql::list_dir(db, dir, cursor, limit, with_attrs); });
  }

  // --- sessions

  Status put_session(const SessionRecord& session, std::stop_token stop) override {
    if (read_only_) return read_only();
    TRY(outside(transactions_.prepare(stop)));
    TRY(change(stop, [&](Session& db) -> Status {
      TRY(db.change(transactions_.row_of(session.sid)));
      return sql::put_session(db, session);
    }));
    transactions_.joined(session.sid);
    return {};
  }
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token stop) override {
    return change(stop, [&](Session& db) { return sql::refresh_session(db, sid, expire); });
  }
  Result<std::vector<SessionRecord>> list_sessions() override {
    return ask<std::vector<SessionRecord>>({}, [](Session& db) { return sql::list_sessions(db); });
  }
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override {
    return ask<std::vector<Ino>>({}, [&](Session& db) { return sql::sustained_inodes(db, sid); });
  }
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override {
    return ask<std::vector<RecordLockOwner>>({}, [&](Session& db) { return sql::session_locks(db, sid); });
  }
  Status count_left_usage(int64_t now) override {
    if (read_only_) return read_only();
    TRY(outside(transactions_.prepare({})));
    const auto left = TRY(ask<std::vector<TallyRow>>(
        {}, [&](Session& db) { return left_tallies(db, transactions_.client(), now); }));
    const std::string volume = transactions_.volume();
    for (const TallyRow& row : left)
      TRY(change({}, [&](Session& db) { return settle_tally(db, row, volume, now); }));
    return {};
  }

  // --- jobs

  Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) override {
    return ask<std::vector<DeletedFile>>({},
                                         [&](Session& db) { return sql::deleted_files(db, before, limit); });
  }
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t) override {
    return ask<std::vector<uint32_t>>({}, [&](Session& db) { return sql::chunks_of(db, ino); });
  }
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) override {
    return ask<std::vector<DelayedSlice>>({},
                                          [&](Session& db) { return sql::unreferenced_slices(db, limit); });
  }
  Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) override {
    return ask<std::vector<DelayedRow>>({},
                                        [&](Session& db) { return sql::delayed_slices(db, before, limit); });
  }

  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) override {
    return ask<std::vector<ChunkRow>>({}, [&](Session& db) { return sql::scan_chunks(db, cursor, limit); });
  }
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) override {
    return ask<std::vector<SliceCount>>(
        {}, [&](Session& db) { return sql::scan_slice_counts(db, cursor, limit); });
  }
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) override {
    return ask<std::vector<DelayedList>>({},
                                         [&](Session& db) { return sql::scan_delayed(db, cursor, limit); });
  }
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) override {
    return ask<std::vector<DeletedFile>>(
        {}, [&](Session& db) { return sql::scan_deleted_files(db, cursor, limit); });
  }

 private:
  Status read_only() const { return fail(EROFS, describe() + " was opened for reading only"); }

  // Codes that are known to this store alone.
  template <class T>
  static Result<T> outside(Result<T> result) {
    if (result) return result;
    Error error = std::move(result).error();
    if (error.code == kLost || error.code == kRunAgain || error.code == kNoTable) error.code = EIO;
    return fail(std::move(error));
  }

  // Reads by `work`, a Result<T>(Session&), again where the connection is lost.
  template <class T, class Work>
  Result<T> ask(const std::stop_token& stop, Work work) {
    T value{};
    TRY(outside(transactions_.until_done(stop, [&](int) -> Status {
      Pool::Lease lease = TRY(pool_.acquire(stop));
      OneByOne session(*lease, stop);
      value = TRY(work(session));
      return {};
    })));
    return value;
  }
  // Changes by `work`, a Status(Session&) that may run again after it was committed.
  template <class Work>
  Status change(const std::stop_token& stop, Work work) {
    if (read_only_) return read_only();
    return outside(transactions_.until_done(stop, [&](int attempt) -> Status {
      Pool::Lease lease = TRY(pool_.acquire(stop));
      OneByOne session(*lease, stop);
      Status done = session.script("BEGIN");
      if (done) done = work(session);
      if (done) done = session.script("COMMIT");
      if (done) return done;
      if (lease->is_usable()) lease->roll_back();
      // Another client was quicker to make a table or a row that we did not see.
      const bool raced = done.error().code == EEXIST && attempt < 3;
      return raced ? Status(fail(kRunAgain, done.error().message)) : done;
    }));
  }

  template <class T, class Work>
  Result<T> change_and_answer(const std::stop_token& stop, Work work) {
    T value{};
    TRY(change(stop, [&](Session& db) -> Status {
      value = TRY(work(db));
      return {};
    }));
    return value;
  }

  // Makes our own tables; answers the volume's UUID.
  Result<std::string> prepare(const std::stop_token& stop) {
    return change_and_answer<std::string>(stop, [](Session& db) -> Result<std::string> {
      if (!TRY(sql::has_lock_waits(db))) TRY(sql::create_lock_waits(db));
      if (!TRY(sql::has_op_slots(db))) TRY(sql::create_op_slots(db));
      const auto setting = TRY(sql::load_setting(db));
      const auto volume = setting ? decode_volume(*setting) : Result<Volume>(fail(ENOENT));
      return volume ? volume->uuid : std::string();
    });
  }

  const std::unique_ptr<Driver> driver_;
  const bool read_only_;
  Pool pool_;
  PendingUsage usage_;
  Transactions transactions_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_server(std::unique_ptr<Driver> driver, const ServerOptions& options) {
  auto store = std::make_unique<ServerStore>(std::move(driver), options);
  TRY(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace cider::meta::sql::server
