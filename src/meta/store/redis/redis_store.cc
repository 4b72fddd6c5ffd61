#include "meta/store/redis/redis_store.h"

#include <algorithm>

#include "base/log.h"
#include "meta/store/redis/client.h"
#include "meta/store/redis/client_cache.h"
#include "meta/store/redis/given_numbers.h"
#include "meta/store/redis/keys.h"
#include "meta/store/redis/push_channel.h"
#include "meta/store/redis/scan_cursor.h"
#include "meta/store/redis/scans.h"
#include "meta/store/redis/server_info.h"
#include "meta/store/redis/table_scans.h"
#include "meta/store/redis/transactions.h"

namespace cider::meta {
namespace {

using redis::Client;
using redis::Commands;
using redis::Reply;

// Sets a number if the present one is below a limit; 1 if it was.
constexpr std::string_view kSetIfSmall = R"lua(
local v = tonumber(redis.call('GET', KEYS[1]) or '0')
if v >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
)lua";

// What a volume keeps, by name of keys: names that stand alone, and beginnings that a number follows.
constexpr std::string_view kNames[] = {"setting",
                                       "allSessions",
                                       "sessions",
                                       "sessionInfos",
                                       "delfiles",
                                       "delSlices",
                                       "detachedNodes",
                                       "sliceRef",
                                       "dirDataLength",
                                       "dirUsedSpace",
                                       "dirUsedInodes",
                                       "dirQuota",
                                       "dirQuotaUsedSpace",
                                       "dirQuotaUsedInodes",
                                       "userQuota",
                                       "userQuotaUsedSpace",
                                       "userQuotaUsedInodes",
                                       "groupQuota",
                                       "groupQuotaUsedSpace",
                                       "groupQuotaUsedInodes",
                                       "acl",
                                       "aclMaxId",
                                       "krbToken",
                                       "krbTokenMaxId",
                                       "txnLog",
                                       "txnLastLog",
                                       "usedSpace",
                                       "totalInodes",
                                       "nextinode",
                                       "nextchunk",
                                       "nextsession",
                                       "nextTrash",
                                       "lastCleanupSessions",
                                       "lastCleanupFiles",
                                       "lastCleanupTrash",
                                       "lastCleanupChangelog",
                                       "nextCleanupSlices",
                                       "owaits",
                                       "otruncated"};
constexpr std::string_view kNumbered[] = {"i", "d",     "p",     "c",       "s",     "x",
                                          "k", "lockf", "lockp", "session", "locked"};

bool of_volume(std::string_view name) {
  if (std::ranges::find(kNames, name) != std::end(kNames) || name.starts_with("opid:")) return true;
  return std::ranges::any_of(kNumbered, [&](std::string_view head) {
    return name.starts_with(head) && name.size() > head.size() && name[head.size()] >= '0' &&
           name[head.size()] <= '9';
  });
}

class RedisStore final : public Store {
 public:
  RedisStore(redis::RedisUrl url, bool read_only)
      : client_(std::move(url), read_only),
        cache_(make_cache(client_.url())),
        transactions_(client_, cache_.get()),
        pushes_(cache_ ? std::make_unique<redis::PushChannel>(client_, *cache_) : nullptr),
        read_only_(read_only) {}

  Status open() {
    client_.on_connect([this](redis::Connection& connection) { return greet(connection); });
    TRY(client_.open());
    TRY(check_server());
    return pushes_ ? pushes_->open() : Status{};
  }

  std::string name() const override { return "redis"; }
  std::string describe() const override { return client_.url().describe(); }

  Result<std::optional<std::string>> load_setting() override {
    Reply reply = TRY(client_.ask("GET", client_.key(redis::kSetting)));
    return reply.optional_text();
  }

  Status create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash) override;
  Status save_setting(std::string_view setting) override {
    TRY(check_writable());
    TRY(client_.ask("SET", client_.key(redis::kSetting), setting));
    return {};
  }
  Status destroy_volume() override;

  Status run(Operation operation, std::stop_token stop) override {
    TRY(check_writable());
    return transactions_.run(operation, std::move(stop));
  }
  Status read(Operation operation, std::stop_token stop) override {
    return transactions_.read(operation, std::move(stop));
  }
  Status read_recent(Operation operation, std::stop_token stop) override {
    return transactions_.read_recent(operation, std::move(stop));
  }
  // As durable as the server is configured to be (appendfsync, replicas): there is no command that asks for
  // more.
  Status sync() override { return {}; }

  // Redis keeps the last id that was given of nextinode and nextchunk, we speak of the next one.
  Result<int64_t> counter(Counter counter) override {
    Reply reply = TRY(client_.ask("GET", client_.key(redis::counter_key(counter))));
    auto value = redis::parse_number<int64_t>(reply.is_nil() ? "0" : reply.text());
    if (!value) return fail(EIO, redis::counter_key(counter) + " is no number: " + std::string(reply.text()));
    return *value + shift(counter);
  }
  Result<int64_t> add_counter(Counter counter, int64_t delta, std::stop_token stop) override {
    TRY(check_writable());
    Reply reply =
        TRY(client_.ask(std::move(stop), "INCRBY", client_.key(redis::counter_key(counter)), delta));
    given_.note(redis::counter_key(counter), reply.integer());
    return reply.integer() + shift(counter);
  }
  Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff) override {
    TRY(check_writable());
    const std::string key = client_.key(redis::counter_key(counter));
    Reply reply = TRY(client_.ask("EVAL", kSetIfSmall, 1, key, value, value - diff));
    return reply.integer() == 1;
  }

  uint64_t incarnation() const override { return client_.reconnects(); }
  Result<bool> has_quotas() override {
    Reply reply = TRY(client_.ask("EXISTS", client_.key(redis::kDirQuota), client_.key(redis::kUserQuota),
                                  client_.key(redis::kGroupQuota)));
    return reply.integer() > 0;
  }

  Result<std::optional<AclRule>> acl(uint32_t id, std::stop_token stop) override {
    Reply reply = TRY(client_.ask(std::move(stop), "HGET", client_.key(redis::kAcls), id));
    if (reply.is_nil()) return std::optional<AclRule>{};
    return std::optional(TRY(decode_acl(reply.text())));
  }
  // An id that a broken connection leaves unused is harmless; one whose field is there was given twice.
  Result<uint32_t> intern_acl(const AclRule& rule, std::stop_token stop) override {
    TRY(check_writable());
    const std::string record = encode_acl(rule);
    constexpr int kTries = 100;
    for (int tries = 0; tries < kTries; ++tries) {
      const int64_t id = TRY(client_.ask(stop, "INCR", client_.key(redis::kAclMax))).integer();
      given_.note(redis::kAclMax, id);
      const bool made =
          TRY(client_.ask(stop, "HSETNX", client_.key(redis::kAcls), id, record)).integer() == 1;
      if (made || TRY(client_.ask(stop, "HGET", client_.key(redis::kAcls), id)).text() == record)
        return static_cast<uint32_t>(id);
    }
    return fail(EIO, describe() + ": the ids of ACL rules that its counter gives are in use");
  }

  Result<std::vector<ListedEntry>> list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                            std::stop_token stop) override {
    return redis::list_dir(client_, dir, cursor, limit, with_attrs, stop);
  }

  Status put_session(const SessionRecord& session, std::stop_token stop) override {
    TRY(check_writable());
    Commands commands;
    commands.add("ZADD", client_.key(redis::kSessions), session.expire, session.sid);
    commands.add("HSET", client_.key(redis::kSessionInfos), session.sid, session.info);
    TRY(client_.ask_all(commands, stop));
    look_around(std::move(stop));
    return {};
  }
  Status refresh_session(uint64_t sid, int64_t expire, std::stop_token stop) override {
    TRY(check_writable());
    Commands commands;
    const std::string sessions = client_.key(redis::kSessions);
    commands.add("ZADD", sessions, "XX", expire, sid).add("ZSCORE", sessions, sid);
    std::vector<Reply> replies = TRY(client_.ask_all(commands, stop));
    if (replies[1].is_nil()) return fail(ENOENT, "session " + std::to_string(sid) + " was cleaned up");
    look_around(std::move(stop));
    return {};
  }
  Result<std::vector<SessionRecord>> list_sessions() override { return redis::list_sessions(client_); }
  Result<std::vector<Ino>> sustained_inodes(uint64_t sid) override {
    return redis::sustained_inodes(client_, sid);
  }
  Result<std::vector<RecordLockOwner>> session_locks(uint64_t sid) override {
    return redis::session_locks(client_, sid);
  }

  Result<std::vector<DeletedFile>> deleted_files(int64_t before, size_t limit) override {
    return redis::deleted_files(client_, before, limit);
  }
  Result<std::vector<uint32_t>> chunks_of(Ino ino, uint64_t length) override {
    return redis::chunks_of(client_, ino, length);
  }
  Result<std::vector<DeletedFile>> files_with_chunks(std::span<const DeletedFile> files) override {
    return redis::files_with_chunks(client_, files);
  }
  Result<std::vector<DelayedSlice>> unreferenced_slices(size_t limit) override {
    return redis::unreferenced_slices(client_, limit);
  }
  Result<std::vector<DelayedRow>> delayed_slices(int64_t before, size_t limit) override {
    return redis::delayed_slices(client_, before, limit);
  }

  Result<std::vector<ChunkRow>> scan_chunks(TableCursor* cursor, size_t limit) override {
    return redis::scan_chunks(client_, cursor, limit);
  }
  Result<std::vector<SliceCount>> scan_slice_counts(TableCursor* cursor, size_t limit) override {
    return redis::scan_slice_counts(client_, cursor, limit);
  }
  int64_t uncounted_refs() const override { return 1; }
  Result<std::vector<DelayedList>> scan_delayed(TableCursor* cursor, size_t limit) override {
    return redis::scan_delayed(client_, cursor, limit);
  }
  Result<std::vector<DeletedFile>> scan_deleted_files(TableCursor* cursor, size_t limit) override {
    return redis::scan_deleted_files(client_, cursor, limit);
  }

 private:
  Status greet(redis::Connection& connection);
  Status check_server();
  // The session is there, whatever comes of it.
  void look_around(std::stop_token stop) {
    if (Status looked = transactions_.look_around(std::move(stop)); !looked)
      log::warning(describe() + ": who else is on the volume: " + looked.error().to_string());
  }
  static int64_t shift(Counter counter) {
    return counter == Counter::next_inode || counter == Counter::next_chunk ? 1 : 0;
  }
  Status check_writable() const {
    if (read_only_) return fail(EROFS, describe() + " was opened for reading only");
    return {};
  }
  static std::unique_ptr<redis::ClientCache> make_cache(const redis::RedisUrl& url) {
    if (!url.client_cache) return nullptr;
    return std::make_unique<redis::ClientCache>(url.client_cache_size, url.client_cache_expire);
  }

  Client client_;
  const std::unique_ptr<redis::ClientCache> cache_;
  redis::Transactions transactions_;
  const std::unique_ptr<redis::PushChannel> pushes_;
  redis::GivenNumbers given_;
  const bool read_only_;
};

// A server that was away may have lost what it had acknowledged: nothing seen on it counts any more, and no
// number that this client was given may be given again.
Status RedisStore::greet(redis::Connection& connection) {
  transactions_.forget_hints();
  if (pushes_) {
    const Reply info = TRY(connection.call(Commands().add("INFO", "server"))).front();
    pushes_->commands_go_to(redis::parse_server_info(info.text()).run_id);
  }
  if (TRY(given_.raise(connection, client_.keyspace()))) {
    log::error(describe() +
               " has lost writes that it had acknowledged; counters were raised above what this " +
               "client was given");
  }
  return {};
}

// A server that evicts keys loses files; it is told not to, as JuiceFS does, where it may be told.
Status RedisStore::check_server() {
  auto reply = client_.run("INFO");
  if (!reply || reply->is_error()) return {};  // hidden by an ACL: nothing to check
  redis::ServerInfo info = redis::parse_server_info(reply->text());
  if (info.is_too_old()) return fail(EINVAL, describe() + " is Redis " + info.version + "; 4.0 is needed");
  if (!info.append_only_file)
    log::warning(describe() +
                 ": AOF is off: what was written last is lost when the server does not shut down properly");
  if (!info.may_evict()) return {};
  auto set =
      read_only_ ? Result<Reply>(Reply()) : client_.run("CONFIG", "SET", "maxmemory-policy", "noeviction");
  if (set && set->text() == "OK") {
    log::warning(describe() + ": maxmemory-policy was " + info.eviction_policy + "; set to noeviction");
  } else {
    log::warning(describe() + ": maxmemory-policy is " + info.eviction_policy +
                 ": the server may evict files; set it to noeviction");
  }
  return {};
}

// The setting comes last: without it there is no volume, and another attempt finds nothing in its way.
Status RedisStore::create_volume(std::string_view setting, const Attr& root,
                                 const std::optional<Attr>& trash) {
  TRY(check_writable());
  if (TRY(load_setting())) return fail(EEXIST, describe() + " holds a volume already");
  Commands commands;
  commands.add("SET", client_.key(redis::inode_key(kRootIno)), encode_attr(root));
  if (trash) commands.add("SET", client_.key(redis::inode_key(kTrashIno)), encode_attr(*trash), "NX");
  for (std::string_view name : {redis::kDirLength, redis::kDirSpace, redis::kDirInodes}) {
    commands.add("HSET", client_.key(name), kRootIno, 0);
  }
  commands.add("SET", client_.key(redis::kSetting), setting, "NX");
  const std::vector<Reply> replies = TRY(client_.ask_all(commands));
  // Where another made it at the same time, or a lost answer was to be "OK", the setting tells whose it is.
  if (replies.back().is_nil() && TRY(load_setting()) != setting)
    return fail(EEXIST, describe() + " holds a volume already");
  return {};
}

Status RedisStore::destroy_volume() {
  TRY(check_writable());
  TRY(client_.ask("DEL", client_.key(redis::kSetting)));
  redis::ScanCursor cursor;
  while (!cursor.at_end()) {
    const Reply page = TRY(cursor.next(client_, {"SCAN"}, {"COUNT", "1000"}));
    std::vector<std::string> keys;
    for (size_t i = 0; i < page.size(); ++i) {
      if (of_volume(client_.keyspace().name(page[i].text()))) keys.emplace_back(page[i].text());
    }
    if (keys.empty()) continue;
    Commands commands;
    commands.add_list({"DEL"}, keys);
    TRY(client_.ask_all(commands));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_redis(std::string_view url, bool read_only) {
  auto store = std::make_unique<RedisStore>(TRY(redis::parse_redis_url(url)), read_only);
  TRY(store->open());
  return store;
}

}  // namespace cider::meta
