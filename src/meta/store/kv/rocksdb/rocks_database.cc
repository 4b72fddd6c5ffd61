#include "meta/store/kv/rocksdb/rocks_database.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "meta/store/kv/rocksdb/insert_places.h"
#include "meta/store/kv/rocksdb/shared_sync.h"

namespace cider::meta::kv {
namespace {

// Memory: the cache with indexes and filters, and the tables that are written to.
constexpr size_t kBlockCache = 32 << 20;
constexpr int kCacheShardBits = 2;  // as many as RocksDB makes by itself would be too small for large blocks
constexpr size_t kWriteBuffer = 16 << 20;
constexpr int kWriteBuffers = 3;
constexpr size_t kLogSize = 64 << 20;
constexpr int kOpenFiles = 256;

// RocksDB counts each comparison of keys for its thread, which a change spends a tenth of its time on. Nobody
// reads that here.
void count_nothing() {
  thread_local const bool told = [] {
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
    return true;
  }();
  (void)told;
}

std::string url_of(const std::string& path) {
  return "rocksdb://" + path;
}

// Who has the database is told by its file LOCK alone.
Status status_of(const rocksdb::Status& status, const std::string& path) {
  if (status.ok()) return {};
  const std::string text = status.ToString();
  const bool locked =
      text.find("lock file") != std::string::npos || text.find("lock hold") != std::string::npos;
  if (status.IsIOError() && locked)
    return fail(EBUSY, url_of(path) + " is in use by another process; RocksDB serves one at a time");
  if (status.IsNoSpace()) return fail(ENOSPC, url_of(path) + ": " + text);
  return fail(EIO, url_of(path) + ": " + text);
}

rocksdb::Options tuned() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache, kCacheShardBits);
  table.cache_index_and_filter_blocks = true;
  // In pieces of a few KiB: a whole filter of a large table is read and checked in half a millisecond, each
  // time where it does not stay in the cache.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBuffer;
  options.max_write_buffer_number = kWriteBuffers;
  options.max_total_wal_size = kLogSize;
  options.max_open_files = kOpenFiles;
  options.memtable_prefix_bloom_size_ratio = 0.05;  // most keys that are asked for before a create are new
  options.memtable_whole_key_filtering = true;
  options.memtable_insert_with_hint_prefix_extractor = std::make_shared<InsertPlaces>();
  options.allow_concurrent_memtable_write = false;  // commits come one after the other, and hints need it
  options.level_compaction_dynamic_level_bytes = true;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 4;
  options.max_log_file_size = 1 << 20;
  const auto codecs = rocksdb::GetSupportedCompressions();
  options.compression = std::ranges::find(codecs, rocksdb::kLZ4Compression) != codecs.end()
                            ? rocksdb::kLZ4Compression
                            : rocksdb::kNoCompression;
  return options;
}

// One open database, shared by all of this process that opened its folder.
class Shared {
 public:
  Shared(std::string where, std::unique_ptr<rocksdb::DB> opened)
      : path(std::move(where)), db(std::move(opened)) {}

  Status check(const rocksdb::Status& status) const { return status_of(status, path); }
  Status sync() {
    return sync_.run([&] { return check(db->SyncWAL()); });
  }

  const std::string path;
  const std::unique_ptr<rocksdb::DB> db;
  std::mutex exclusive;

 private:
  SharedSync sync_;
};

// With a snapshot: that instant. Without one: the present, of which who holds the lock is the master.
class RocksView final : public View {
 public:
  RocksView(Shared& shared, bool with_snapshot) : shared_(shared), db_(*shared.db) {
    count_nothing();
    if (with_snapshot) options_.snapshot = db_.GetSnapshot();
  }
  ~RocksView() override {
    if (options_.snapshot) db_.ReleaseSnapshot(options_.snapshot);
  }
  RocksView(const RocksView&) = delete;

  Result<std::vector<Value>> get(std::span<const std::string> keys) override {
    std::vector<Value> out;
    out.reserve(keys.size());
    for (const std::string& key : keys) {
      std::string value;
      const rocksdb::Status status = db_.Get(options_, db_.DefaultColumnFamily(), key, &value);
      if (status.IsNotFound()) {
        out.emplace_back();
        continue;
      }
      TRY(shared_.check(status));
      out.emplace_back(std::move(value));
    }
    return out;
  }

  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) override {
    std::vector<Pair> out;
    rocksdb::ReadOptions options = options_;
    const rocksdb::Slice end(range.end);
    options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
    for (at->Seek(range.begin); at->Valid() && out.size() < limit; at->Next())
      out.push_back({at->key().ToString(), keys_only ? std::string{} : at->value().ToString()});
    TRY(shared_.check(at->status()));
    return out;
  }

  Result<std::string> bound(const Range& range) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options_));
    at->SeekForPrev(range.end);
    if (at->Valid() && at->key() == rocksdb::Slice(range.end)) at->Prev();
    TRY(shared_.check(at->status()));
    if (!at->Valid() || at->key().compare(range.begin) < 0) return range.begin;
    return at->key().ToString() + '\0';
  }

 private:
  Shared& shared_;
  rocksdb::DB& db_;
  rocksdb::ReadOptions options_;
};

class RocksDatabase final : public Database {
 public:
  RocksDatabase(std::shared_ptr<Shared> shared, bool read_only)
      : shared_(std::move(shared)), read_only_(read_only) {}

  std::string name() const override { return "rocksdb"; }
  std::string describe() const override { return url_of(shared_->path); }
  Result<std::unique_ptr<View>> view(std::stop_token) override {
    return std::make_unique<RocksView>(*shared_, true);
  }
  Result<std::unique_ptr<View>> working_view(std::stop_token) override {
    return std::make_unique<RocksView>(*shared_, false);
  }
  Result<Committed> commit(View&, const Checks&, const Changes& changes, const Interrupt&) override {
    // RocksDB 7 uses the places of insert_places.h for range deletions too, of which they are none.
    if (!changes.deleted.empty()) return fail(EINVAL, "RocksDB deletes no ranges here");
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : changes.keys) {
      TRY(shared_->check(value ? batch.Put(key, *value) : batch.Delete(key)));
    }
    TRY(shared_->check(shared_->db->Write(rocksdb::WriteOptions(), &batch)));
    return Committed::done;
  }
  Status sync() override {
    if (read_only_) return {};
    return shared_->sync();
  }
  bool read_only() const override { return read_only_; }
  std::mutex* exclusive() override { return &shared_->exclusive; }
  bool is_alone() const override { return !read_only_ && shared_.use_count() == 1; }

 private:
  const std::shared_ptr<Shared> shared_;
  const bool read_only_;
};

// The databases that are open in this process, by path.
struct OpenOnes {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Shared>> by_path;
};
OpenOnes& open_ones() {
  static OpenOnes ones;
  return ones;
}

Result<std::shared_ptr<Shared>> open_for_reading(const std::string& path) {
  rocksdb::Options options = tuned();
  options.max_open_files = -1;  // all at once: another process may delete them later
  rocksdb::DB* db = nullptr;
  TRY(status_of(rocksdb::DB::OpenForReadOnly(options, path, &db), path));
  return std::make_shared<Shared>(path, std::unique_ptr<rocksdb::DB>(db));
}

Result<std::shared_ptr<Shared>> open_for_writing(const std::string& path, bool create) {
  rocksdb::Options options = tuned();
  options.create_if_missing = create;
  rocksdb::DB* db = nullptr;
  TRY(status_of(rocksdb::DB::Open(options, path, &db), path));
  return std::make_shared<Shared>(path, std::unique_ptr<rocksdb::DB>(db));
}

Status check_path(const std::string& path, bool create) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (!create) return fail(ENOENT, "no database at " + path);
    if (!fs::is_directory(fs::path(path).parent_path(), error))
      return fail(ENOENT, "cannot make " + path + ": the folder above it is missing");
    return {};
  }
  if (!fs::is_directory(path, error))
    return fail(ENOTDIR, path + " is a file, not a folder with a RocksDB database");
  if (!create && !fs::exists(fs::path(path) / "CURRENT", error))
    return fail(ENOENT, "no RocksDB database in " + path);
  return {};
}

}  // namespace

Result<std::shared_ptr<Database>> open_rocksdb(const std::string& path, const RocksOptions& options) {
  if (!path.starts_with('/'))
    return fail(EINVAL, "\"" + path + "\" is no absolute path of a folder: rocksdb:///path/to/folder");
  if (options.create && options.read_only) return fail(EINVAL, "a database cannot be made for reading only");
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  std::lock_guard lock(open_ones().mutex);
  std::shared_ptr<Shared> shared = open_ones().by_path[normal].lock();
  if (!shared) {
    TRY(check_path(normal, options.create));
    shared = TRY(options.read_only ? open_for_reading(normal) : open_for_writing(normal, options.create));
    if (!options.read_only) open_ones().by_path[normal] = shared;
  }
  return std::make_shared<RocksDatabase>(std::move(shared), options.read_only);
}

}  // namespace cider::meta::kv
