#include "meta/store/memory/memory_store.h"

#include <algorithm>
#include <thread>

#include "meta/store/memory/tables.h"

namespace cider::meta {

// Answers each item on its own, so that a flight is not one instant; or all under one lock, for read().
class MemoryStore::Reader final : public Fetcher {
 public:
  Reader(MemoryStore& store, bool one_instant) : store_(store), one_instant_(one_instant) {}

  Status fetch(const std::vector<ReadItem*>& items) override {
    if (one_instant_) {
      std::lock_guard lock(store_.mutex_);
      for (ReadItem* item : items) store_.tables_->answer(item);
      return {};
    }
    for (ReadItem* item : items) {
      if (store_.behaviour_.between_reads) store_.behaviour_.between_reads();
      std::lock_guard lock(store_.mutex_);
      store_.tables_->answer(item);
    }
    return {};
  }

 private:
  MemoryStore& store_;
  const bool one_instant_;
};

MemoryStore::MemoryStore(Behaviour behaviour, uint64_t seed)
    : behaviour_(std::move(behaviour)), random_(seed), tables_(std::make_unique<Tables>()) {}

MemoryStore::~MemoryStore() = default;

MemoryStore::Tables MemoryStore::copy_tables() {
  std::lock_guard lock(mutex_);
  return *tables_;
}

Result<std::optional<std::string>> MemoryStore::load_setting() {
  std::lock_guard lock(mutex_);
  return tables_->setting;
}

Status MemoryStore::create_volume(std::string_view setting, const Attr& root,
                                  const std::optional<Attr>& trash) {
  std::lock_guard lock(mutex_);
  if (tables_->setting) return fail(EEXIST, "the database holds a volume already");
  Tables& t = *tables_;
  t.setting = std::string(setting);
  t.nodes.emplace(kRootIno, root);
  t.dir_stats.emplace(kRootIno, DirStat{});
  if (trash) t.nodes.emplace(kTrashIno, *trash);
  t.counters["nextInode"] = 2;
  t.counters["nextChunk"] = 1;
  return {};
}

Status MemoryStore::save_setting(std::string_view setting) {
  std::lock_guard lock(mutex_);
  tables_->setting = std::string(setting);
  return {};
}

Status MemoryStore::destroy_volume() {
  std::lock_guard lock(mutex_);
  *tables_ = Tables{};
  return {};
}

bool MemoryStore::read_set_holds(const Transaction& tx) {
  for (const ReadItem& seen : tx.reads()) {
    ReadItem now = seen;
    tables_->answer(&now);
    if (!still_holds(seen, now)) return false;
  }
  return true;
}

Status MemoryStore::commit(const Transaction& tx, bool* conflict) {
  if (behaviour_.before_commit) TRY(behaviour_.before_commit());
  std::lock_guard lock(mutex_);
  *conflict = !read_set_holds(tx);
  if (*conflict) return {};
  for (const WriteItem& item : tx.writes()) TRY(tables_->check(item));
  for (const WriteItem& item : tx.writes()) tables_->apply(item);
  return {};
}

Status MemoryStore::run(Operation operation, std::stop_token stop) {
  for (int attempt = 0;; ++attempt) {
    if (stop.stop_requested()) return fail(EINTR);
    bool twice;
    {
      std::lock_guard lock(mutex_);
      twice = std::uniform_real_distribution<>(0, 1)(random_) < behaviour_.run_twice;
    }
    Reader reader(*this, false);
    if (twice) {
      Transaction rehearsal(reader);
      (void)operation(rehearsal);
    }
    Transaction tx(reader);
    Status answer = operation(tx);
    bool conflict = false;
    if (answer) {
      TRY(commit(tx, &conflict));
      if (!conflict) return {};
    } else {
      std::lock_guard lock(mutex_);
      conflict = !read_set_holds(tx);
      if (!conflict) return answer;
    }
    ++conflicts_;
    if (attempt > 10) std::this_thread::yield();
  }
}

Status MemoryStore::read(Operation operation, std::stop_token) {
  Reader reader(*this, true);
  Transaction tx(reader);
  return operation(tx);
}

Result<int64_t> MemoryStore::counter(Counter counter) {
  std::lock_guard lock(mutex_);
  auto it = tables_->counters.find(counter_name(counter));
  return it == tables_->counters.end() ? 0 : it->second;
}

Result<int64_t> MemoryStore::add_counter(Counter counter, int64_t delta, std::stop_token) {
  std::lock_guard lock(mutex_);
  return tables_->counters[std::string(counter_name(counter))] += delta;
}

Result<uint64_t> MemoryStore::highest_id(Counter counter) {
  std::lock_guard lock(mutex_);
  if (counter == Counter::next_chunk) return tables_->refs.empty() ? 0 : tables_->refs.rbegin()->first.first;
  uint64_t highest = 0;
  for (const auto& [ino, attr] : tables_->nodes) {
    if (!is_trash(ino)) highest = std::max(highest, ino);
  }
  return highest;
}

Result<bool> MemoryStore::set_if_small(Counter counter, int64_t value, int64_t diff) {
  std::lock_guard lock(mutex_);
  int64_t& current = tables_->counters[std::string(counter_name(counter))];
  if (current >= value - diff) return false;
  current = value;
  return true;
}

Result<std::optional<AclRule>> MemoryStore::acl(uint32_t id, std::stop_token) {
  std::lock_guard lock(mutex_);
  auto it = tables_->acls.find(id);
  if (it == tables_->acls.end()) return std::optional<AclRule>{};
  return std::optional(it->second);
}

Result<uint32_t> MemoryStore::intern_acl(const AclRule& rule, std::stop_token) {
  std::lock_guard lock(mutex_);
  uint32_t id = tables_->acls.empty() ? 1 : tables_->acls.rbegin()->first + 1;
  tables_->acls.emplace(id, rule);
  return id;
}

Result<std::vector<ListedEntry>> MemoryStore::list_dir(Ino dir, DirCursor* cursor, size_t limit,
                                                       bool with_attrs, std::stop_token) {
  std::lock_guard lock(mutex_);
  std::vector<ListedEntry> out;
  if (cursor->position.empty()) cursor->bound = tables_->last_row_id;
  auto rows = tables_->entries.find(dir);
  if (rows == tables_->entries.end()) {
    cursor->at_end = true;
    return out;
  }
  auto it = rows->second.upper_bound(cursor->position);
  for (; it != rows->second.end() && out.size() < limit; ++it) {
    cursor->position = it->first;
    if (it->second.id > cursor->bound) continue;
    ListedEntry listed{it->first, it->second.entry, {}};
    if (with_attrs) {
      auto node = tables_->nodes.find(listed.entry.ino);
      if (node != tables_->nodes.end()) listed.attr = node->second;
    }
    out.push_back(std::move(listed));
  }
  cursor->at_end = it == rows->second.end();
  return out;
}

Status MemoryStore::put_session(const SessionRecord& session, std::stop_token) {
  std::lock_guard lock(mutex_);
  tables_->sessions[session.sid] = session;
  return {};
}

Status MemoryStore::refresh_session(uint64_t sid, int64_t expire, std::stop_token) {
  std::lock_guard lock(mutex_);
  auto it = tables_->sessions.find(sid);
  if (it == tables_->sessions.end())
    return fail(ENOENT, "session " + std::to_string(sid) + " was cleaned up");
  it->second.expire = expire;
  return {};
}

Result<std::vector<SessionRecord>> MemoryStore::list_sessions() {
  std::lock_guard lock(mutex_);
  std::vector<SessionRecord> out;
  for (const auto& [sid, session] : tables_->sessions) out.push_back(session);
  return out;
}

Result<std::vector<Ino>> MemoryStore::sustained_inodes(uint64_t sid) {
  std::lock_guard lock(mutex_);
  std::vector<Ino> out;
  for (const auto& [ino, holder] : tables_->sustained) {
    if (holder == sid) out.push_back(ino);
  }
  return out;
}

Result<std::vector<RecordLockOwner>> MemoryStore::session_locks(uint64_t sid) {
  std::lock_guard lock(mutex_);
  std::vector<RecordLockOwner> out;
  for (const auto& [ino, table] : tables_->flocks) {
    for (const Flock& lock_record : table) {
      if (lock_record.holder.sid == sid) out.push_back({ino, lock_record.holder, true, lock_record.kind, {}});
    }
  }
  for (const auto& [ino, table] : tables_->plocks) {
    for (const Plock& lock_record : table) {
      if (lock_record.holder.sid == sid)
        out.push_back({ino, lock_record.holder, false, {}, lock_record.ranges});
    }
  }
  return out;
}

Result<std::vector<DeletedFile>> MemoryStore::deleted_files(int64_t before, size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<DeletedFile> out;
  for (const auto& [ino, file] : tables_->deleted_files) {
    if (file.deleted < before && out.size() < limit) out.push_back(file);
  }
  return out;
}

Result<std::vector<uint32_t>> MemoryStore::chunks_of(Ino ino, uint64_t) {
  std::lock_guard lock(mutex_);
  std::vector<uint32_t> out;
  for (auto it = tables_->chunks.lower_bound({ino, 0}); it != tables_->chunks.end() && it->first.first == ino;
       ++it) {
    out.push_back(it->first.second);
  }
  return out;
}

Result<std::vector<DelayedSlice>> MemoryStore::unreferenced_slices(size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<DelayedSlice> out;
  for (const auto& [key, refs] : tables_->refs) {
    if (refs <= 0 && out.size() < limit) out.push_back({key.first, key.second});
  }
  return out;
}

Result<std::vector<DelayedRow>> MemoryStore::delayed_slices(int64_t before, size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<DelayedRow> out;
  for (const auto& [id, row] : tables_->delayed) {
    if (row.first < before && out.size() < limit) out.push_back({id, row.first});
  }
  return out;
}

namespace {

// Forwards everything; see memory_store_view().
class View final : public Store {
 public:
  explicit View(Store& shared) : s_(shared) {}
  std::string name() const override { return s_.name(); }
  std::string describe() const override { return s_.describe(); }
  Result<std::optional<std::string>> load_setting() override { return s_.load_setting(); }
  Status create_volume(std::string_view setting, const Attr& root,
                       const std::optional<Attr>& trash) override {
    return s_.create_volume(setting, root, trash);
  }
  Status save_setting(std::string_view setting) override { return s_.save_setting(setting); }
  Status destroy_volume() override { return s_.destroy_volume(); }
  Result<bool> has_quotas() override { return s_.has_quotas(); }
  Status run(Operation operation, std::stop_token stop) override { return s_.run(operation, stop); }
  Status read(Operation operation, std::stop_token stop) override {
    return s_.read(operation, std::move(stop));
  }
  Status sync() override { return s_.sync(); }
  Result<int64_t> counter(Counter c) override { return s_.counter(c); }
  Result<int64_t> add_counter(Counter c, int64_t delta, std::stop_token) override {
    return s_.add_counter(c, delta);
  }
  Result<uint64_t> highest_id(Counter c) override { return s_.highest_id(c); }
  Result<bool> set_if_small(Counter c, int64_t v, int64_t d) override { return s_.set_if_small(c, v, d); }
  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token) override { return s_.acl(id); }
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token) override { return s_.intern_acl(rule); }
  Result<std::vector<ListedEntry>> list_dir(Ino d, DirCursor* c, size_t n, bool a, std::stop_token) override {
    return s_.list_dir(d, c, n, a);
  }
  Status put_session(const SessionRecord& session, std::stop_token) override {
    return s_.put_session(session);
  }
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token) override {
    return s_.refresh_session(sid, expire);
  }
  Result<std::vector<SessionRecord>> list_sessions() override { return s_.list_sessions(); }
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override { return s_.sustained_inodes(sid); }
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override { return s_.session_locks(sid); }
  Result<std::vector<DeletedFile>> deleted_files(int64_t b, size_t n) override {
    return s_.deleted_files(b, n);
  }
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t length) override {
    return s_.chunks_of(ino, length);
  }
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t n) override {
    return s_.unreferenced_slices(n);
  }
  Result<std::vector<DelayedRow>> delayed_slices(int64_t b, size_t n) override {
    return s_.delayed_slices(b, n);
  }
  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* c, size_t n) override {
    return s_.scan_chunks(c, n);
  }
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* c, size_t n) override {
    return s_.scan_slice_counts(c, n);
  }
  int64_t uncounted_refs() const override { return s_.uncounted_refs(); }
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* c, size_t n) override {
    return s_.scan_delayed(c, n);
  }
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* c, size_t n) override {
    return s_.scan_deleted_files(c, n);
  }

 private:
  Store& s_;
};

}  // namespace

std::unique_ptr<Store> memory_store_view(Store& shared) {
  return std::make_unique<View>(shared);
}

}  // namespace cider::meta
