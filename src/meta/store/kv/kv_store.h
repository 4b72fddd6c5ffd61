// The metadata store over an ordered-KV database, in JuiceFS's layout (keys.h, records.h).
#pragma once

#include <memory>
#include <string>

#include "meta/store/kv/kv.h"
#include "meta/store/kv/runner.h"
#include "meta/store/kv/usage_tally.h"
#include "meta/store/pending_usage.h"
#include "meta/store/store.h"

namespace cider::meta::kv {

// Thread-safe. One client of the database; with others beside it, usage goes to the database each second,
// with sync(), and when the store ends.
class KvStore final : public Store {
 public:
  explicit KvStore(std::shared_ptr<Database> database);
  ~KvStore() override;

  std::string name() const override { return database_->name(); }
  std::string describe() const override { return database_->describe(); }

  Result<std::optional<std::string>> load_setting() override;
  Status create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash) override;
  Status save_setting(std::string_view setting) override;
  Status destroy_volume() override;
  Result<bool> has_quotas() override;

  Status run(Operation operation, std::stop_token stop) override;
  Status read(Operation operation, std::stop_token stop) override;
  Status sync() override;
  Status housekeeping() override { return database_->housekeeping(); }
  size_t records_per_commit() const override { return database_->limits().records; }

  Result<int64_t> counter(Counter counter) override;
  Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token stop = {}) override;
  Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) override;
  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token stop = {}) override;
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token stop = {}) override;

  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            std::stop_token stop = {}) override;

  Status put_session(const SessionRecord& session, std::stop_token stop = {}) override;
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token stop = {}) override;
  Result<std::vector<SessionRecord>> list_sessions() override;
  bool is_alone() const override { return database_->is_alone(); }
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override;
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override;
  Status count_left_usage(int64_t now) override;

  Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) override;
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t length) override;
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) override;
  Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) override;

  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) override;
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) override;
  int64_t uncounted_refs() const override { return 1; }
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) override;
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) override;

  uint64_t conflicts() const { return runner_.conflicts(); }

 private:
  template <class T>
  Result<T> look(FunctionRef<Result<T>(Workspace&)> question, std::stop_token stop = {});
  template <class T>
  Result<T> change(FunctionRef<Result<T>(Workspace&)> work, std::stop_token stop = {});
  Status leave(const std::stop_token& stop);
  bool waits(const WriteItem& item) const;  // to be summed up
  void take_off(const std::vector<WriteItem>& written);
  Status write_usage(const UsageSums& sums, const std::stop_token& stop);

  const std::shared_ptr<Database> database_;
  UsageTally tally_;
  Runner runner_;
  PendingUsage pending_;
};

}  // namespace cider::meta::kv
