// The engine that lives in this process: the twin that tests run against. It is as unforgiving as the weakest
// real engine: reads of a flight are not one instant, commits check every predicate of the read set,
// operations may run twice.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include "meta/store/store.h"

namespace cider::meta {

// Thread-safe. Several Meta objects may share one store by memory_store_view(): several clients of one
// volume.
class MemoryStore final : public Store {
 public:
  struct Behaviour {
    double run_twice = 0;  // share of operations that run twice before they commit (purity)
    std::function<void()>
        between_reads;  // called before every read, without any lock: others may commit there
    std::function<Status()> before_commit;  // an error here is the commit's answer; nothing is written
    std::function<Status()> on_sync;        // what sync() answers
  };

  MemoryStore() : MemoryStore(Behaviour{}) {}
  explicit MemoryStore(Behaviour behaviour, uint64_t seed = 1);

  // How often a commit found its read set broken.
  uint64_t conflicts() const { return conflicts_; }

  // All records, as they are now; for tests (tables.h).
  struct Tables;
  Tables copy_tables();

  std::string name() const override { return "memory"; }
  std::string describe() const override { return "memory://"; }
  Result<std::optional<std::string>> load_setting() override;
  Status create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash) override;
  Status save_setting(std::string_view setting) override;
  Status destroy_volume() override;
  Status run(Operation operation, std::stop_token stop) override;
  Status read(Operation operation, std::stop_token stop) override;
  Status sync() override { return behaviour_.on_sync ? behaviour_.on_sync() : Status{}; }
  Result<int64_t> counter(Counter counter) override;
  Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token stop = {}) override;
  Result<uint64_t> highest_id(Counter counter) override;
  Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) override;
  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token stop = {}) override;
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token stop = {}) override;
  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            std::stop_token stop = {}) override;
  Status put_session(const SessionRecord& session, std::stop_token stop = {}) override;
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token stop = {}) override;
  Result<std::vector<SessionRecord>> list_sessions() override;
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override;
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override;
  Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) override;
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t length) override;
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) override;
  Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) override;
  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) override;
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) override;
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) override;
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) override;

 private:
  class Reader;

  bool read_set_holds(const Transaction& tx);  // with the mutex held
  Status commit(const Transaction& tx, bool* conflict);

  const Behaviour behaviour_;
  std::mutex mutex_;
  std::mt19937_64 random_;
  std::atomic<uint64_t> conflicts_{0};
  std::unique_ptr<Tables> tables_;

 public:
  ~MemoryStore() override;
};

// A store that shares the volume of `shared`, which must outlive it: one client each.
std::unique_ptr<Store> memory_store_view(Store& shared);

}  // namespace cider::meta
