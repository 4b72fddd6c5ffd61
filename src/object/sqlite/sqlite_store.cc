// Objects as rows of a SQLite database: the storage "sqlite3". Table and columns are JuiceFS's (1.4,
// pkg/object/sql.go), so that either client reads what the other has stored.
#include <algorithm>
#include <cstring>

#include "object/drivers.h"
#include "object/sqlite/database.h"

namespace cider::object {
namespace {

using sqlite::Blob;
using sqlite::Pool;
using sqlite::Statement;
using sqlite::Transaction;

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS `jfs_blob` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `key` BLOB NOT "
    "NULL, "
    "`size` INTEGER NOT NULL, `modified` DATETIME NOT NULL, `data` BLOB NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS `UQE_jfs_blob_blob` ON `jfs_blob` (`key`);";

constexpr size_t kLargest = 1'000'000'000;  // bytes of a row, by SQLite's own limit

// "" for a prefix that all keys which follow have: no upper bound.
std::string end_of(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

class SqliteStore final : public ObjectStore {
 public:
  explicit SqliteStore(std::string path) : pool_(std::move(path)) {}

  std::string name() const override { return "sqlite3://" + pool_.path() + "/"; }
  Status create() override { return pool_.create(kSchema); }
  Status check_bucket() override {
    auto db = TRY(pool_.lease());
    Statement table =
        TRY(Statement::prepare(db.get(), "SELECT 1 FROM sqlite_master WHERE name = 'jfs_blob'"));
    if (TRY(table.next())) return {};
    return fail(ENOENT, "the database " + pool_.path() + " has no table jfs_blob");
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token) override {
    return read(key, [&](size_t size, Blob* blob) -> Status {
      if (offset + out.size() > size) return fail(EIO, short_object(key, size, offset + out.size()));
      return blob ? blob->read(offset, out) : Status{};
    });
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token) override {
    size_t read_bytes = 0;
    TRY(read(key, [&](size_t size, Blob* blob) -> Status {
      if (size > out.size()) return fail(EFBIG, large_object(key, size, out.size()));
      read_bytes = size;
      return blob ? blob->read(0, out.first(size)) : Status{};
    }));
    return read_bytes;
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token) override {
    std::string bytes;
    TRY(read(key, [&](size_t size, Blob* blob) -> Status {
      if (size > limit) return fail(EFBIG, large_object(key, size, limit));
      bytes.resize(size);
      return blob ? blob->read(0, std::as_writable_bytes(std::span(bytes))) : Status{};
    }));
    return bytes;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token) override;
  Status remove(std::string_view key) override {
    TRY(check_key(key));
    std::lock_guard one(writer_);
    auto db = TRY(connection());
    return TRY(Statement::prepare(db.get(), "DELETE FROM jfs_blob WHERE key = ?")).bind(1, key).run();
  }
  Status remove_many(std::span<const std::string> keys) override;
  Result<ObjectInfo> head(std::string_view key) override;
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override;
  Status sync(std::span<const std::string>) override { return pool_.sync(); }

 private:
  // As lease(), but a database that has gone is no missing object.
  Result<Pool::Lease> connection() {
    auto lease = pool_.lease();
    if (code_of(lease) == ENOENT) return fail(EIO, lease.error().message);
    return lease;
  }

  // Calls use(size, data) with a row as it is at one instant; without `data` where the object is empty.
  template <class Use>
  Status read(std::string_view key, Use use) {
    TRY(check_key(key));
    auto db = TRY(connection());
    Transaction transaction = TRY(Transaction::begin(db.get(), /*writes=*/false));
    Statement row = TRY(Statement::prepare(db.get(), "SELECT id, length(data) FROM jfs_blob WHERE key = ?"));
    row.bind(1, key);
    if (!TRY(row.next())) return fail(ENOENT, no_object(key));
    if (row.integer(1) == 0) return use(0, nullptr);
    Blob blob = TRY(Blob::open(db.get(), row.integer(0), /*writable=*/false));
    return use(blob.size(), &blob);
  }

  Pool pool_;
  std::mutex writer_;  // SQLite has one at a time, and waits for another by polling
};

Status SqliteStore::put(std::string_view key, const BufferChain& data, std::stop_token) {
  TRY(check_key(key));
  const size_t size = total_size(data);
  if (size > kLargest) return fail(EFBIG, large_object(key, size, kLargest));
  std::lock_guard one(writer_);
  auto db = TRY(connection());
  Transaction transaction = TRY(Transaction::begin(db.get(), /*writes=*/true));
  int64_t row_id;
  {
    Statement row = TRY(Statement::prepare(
        db.get(),
        "INSERT INTO jfs_blob(key, size, modified, data) VALUES(?1, ?2, datetime('now'), zeroblob(?2)) "
        "ON CONFLICT(key) DO UPDATE SET size = excluded.size, modified = excluded.modified, data = "
        "excluded.data "
        "RETURNING id"));
    row.bind(1, key).bind(2, static_cast<int64_t>(size));
    if (!TRY(row.next())) return fail(EIO, "SQLite: no row was written for " + std::string(key));
    row_id = row.integer(0);
    TRY(row.run());
  }
  if (size > 0) TRY(TRY(Blob::open(db.get(), row_id, /*writable=*/true)).write(data));
  return transaction.commit();
}

Status SqliteStore::remove_many(std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(check_key(key));
  std::lock_guard one(writer_);
  auto db = TRY(connection());
  Transaction transaction = TRY(Transaction::begin(db.get(), /*writes=*/true));
  for (const std::string& key : keys) {
    TRY(TRY(Statement::prepare(db.get(), "DELETE FROM jfs_blob WHERE key = ?")).bind(1, key).run());
  }
  return transaction.commit();
}

constexpr const char* kHead =
    "SELECT size, CAST(strftime('%s', modified) AS INTEGER) FROM jfs_blob WHERE key = ?";
constexpr const char* kList =
    "SELECT size, CAST(strftime('%s', modified) AS INTEGER), key FROM jfs_blob "
    "WHERE key > ?1 AND key >= ?2 AND (length(?3) = 0 OR key < ?3) ORDER BY key LIMIT ?4";

Result<ObjectInfo> SqliteStore::head(std::string_view key) {
  TRY(check_key(key));
  auto db = TRY(connection());
  Statement row = TRY(Statement::prepare(db.get(), kHead));
  if (!TRY(row.bind(1, key).next())) return fail(ENOENT, no_object(key));
  return ObjectInfo{std::string(key), static_cast<uint64_t>(row.integer(0)), {row.integer(1), 0}};
}

Result<std::vector<ObjectInfo>> SqliteStore::list(std::string_view prefix, std::string_view after,
                                                  size_t limit) {
  auto db = TRY(connection());
  const std::string end = end_of(std::string(prefix));
  Statement row = TRY(Statement::prepare(db.get(), kList));
  row.bind(1, after).bind(2, prefix).bind(3, end).bind(
      4, static_cast<int64_t>(std::min<size_t>(limit, 1 << 30)));
  std::vector<ObjectInfo> found;
  while (TRY(row.next())) {
    found.push_back({std::string(row.bytes(2)), static_cast<uint64_t>(row.integer(0)), {row.integer(1), 0}});
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_sqlite3(const StoreConfig& config) {
  std::string path = config.bucket;
  if (size_t scheme = path.find("://"); scheme != path.npos) path.erase(0, scheme + 3);
  if (!path.starts_with('/')) {
    return fail(EINVAL, "bucket \"" + config.bucket +
                            "\" of storage sqlite3 must be the absolute path of a database");
  }
  if (path.ends_with('/') || path.find('\0') != path.npos) {
    return fail(EINVAL,
                "bucket \"" + config.bucket + "\" of storage sqlite3 names a folder; it must be a file");
  }
  return std::make_unique<SqliteStore>(std::move(path));
}

}  // namespace cider::object
