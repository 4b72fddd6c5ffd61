// Objects as strings of a Redis database: the storage "redis". The key of an object is its key in Redis, as
// JuiceFS has it (1.4, pkg/object/redis.go).
#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "base/budget.h"
#include "base/clock.h"
#include "object/drivers.h"
#include "object/redis/redis_connection.h"

namespace cider::object {
namespace {

constexpr size_t kMostIdle = 64;
constexpr size_t kKeysAtOnce = 1000;
constexpr size_t kHeldByReply = 2;     // times its size: as it comes, and parsed
constexpr size_t kKeysKept = 100'000;  // of a listing: each time this many are passed, all keys are scanned

constexpr std::chrono::seconds kListingAge{60};

// A SCAN pattern for `prefix` as it is.
std::string pattern_of(std::string_view prefix) {
  std::string out;
  for (char c : prefix) {
    if (std::string_view("*?[]\\^-").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + "*";
}

std::string range_end(uint64_t offset, size_t size) {
  return std::to_string(offset + size - 1);
}

class RedisStore final : public ObjectStore {
 public:
  RedisStore(RedisAddress address, MemoryBudget* memory) : address_(std::move(address)), memory_(memory) {}

  std::string name() const override { return address_.shown() + "/"; }
  Status create() override { return check_bucket(); }
  Status check_bucket() override {
    TRY(ask({}, [](RedisConnection& to) { to.add({"PING"}); }));
    return {};
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    const BudgetCharge held(memory_, kHeldByReply * out.size());
    const size_t got = TRY(get_range(key, offset, out.size(), stop, [&](std::string_view bytes) {
      std::memcpy(out.data(), bytes.data(), bytes.size());
    }));
    if (got == out.size()) return {};
    return fail(EIO, short_object(key, TRY(head(key)).size, offset + out.size()));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    const BudgetCharge held(memory_, kHeldByReply * out.size());
    const size_t got = TRY(get_range(key, 0, out.size() + 1, stop, [&](std::string_view bytes) {
      std::memcpy(out.data(), bytes.data(), std::min(bytes.size(), out.size()));
    }));
    if (got <= out.size()) return got;
    return fail(EFBIG, large_object(key, TRY(head(key)).size, out.size()));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    std::string all;
    TRY(get_range(key, 0, limit + 1, stop, [&](std::string_view bytes) { all = bytes; }));
    if (all.size() <= limit) return all;
    return fail(EFBIG, large_object(key, TRY(head(key)).size, limit));
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    TRY(check_key(key));
    TRY(ask(stop, [&](RedisConnection& to) { to.add({"SET", key}, &data); }));
    return {};
  }
  Status remove(std::string_view key) override {
    TRY(check_key(key));
    TRY(ask({}, [&](RedisConnection& to) { to.add({"DEL", key}); }));
    return {};
  }
  Status remove_many(std::span<const std::string> keys) override;
  Result<ObjectInfo> head(std::string_view key) override;
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override;

 private:
  using Fill = FunctionRef<void(RedisConnection&)>;
  // Sends the commands that `fill` adds. The first error among the replies is the result's, unless `lenient`.
  Result<std::vector<Reply>> ask(const std::stop_token& stop, Fill fill, bool lenient = false);
  Result<std::unique_ptr<RedisConnection>> take(bool* kept, const std::stop_token& stop);
  template <class Use>
  Result<size_t> get_range(std::string_view key, uint64_t offset, size_t size, const std::stop_token& stop,
                           Use use);
  Result<std::vector<std::string>> keys_after(std::string_view prefix, std::string_view after);

  const RedisAddress address_;
  MemoryBudget* const memory_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<RedisConnection>> idle_;
  // What follows the last page of the latest listing.
  struct Listing {
    Monotonic::time_point scanned;
    std::string prefix;
    std::string after;
    std::vector<std::string> keys;
    bool to_the_end = false;
  } listing_;
};

Result<std::unique_ptr<RedisConnection>> RedisStore::take(bool* kept, const std::stop_token& stop) {
  if (*kept) {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  *kept = false;
  return RedisConnection::open(address_, stop);
}

Result<std::vector<Reply>> RedisStore::ask(const std::stop_token& stop, Fill fill, bool lenient) {
  bool kept = true;
  while (true) {
    std::unique_ptr<RedisConnection> connection = TRY(take(&kept, stop));
    fill(*connection);
    Result<std::vector<Reply>> replies = connection->receive(stop);
    if (!replies) {
      // The server may have closed a connection that was idle for long; all commands may be sent again.
      if (!kept || !connection->was_closed()) return replies;
      kept = false;
      continue;
    }
    {
      std::lock_guard lock(mutex_);
      if (idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
    }
    for (const Reply& reply : *replies) {
      if (reply->type == REDIS_REPLY_ERROR && !lenient) return redis_error(*reply);
    }
    return replies;
  }
}

// The bytes there are of the range, which `use` gets. ENOENT where there is no object.
template <class Use>
Result<size_t> RedisStore::get_range(std::string_view key, uint64_t offset, size_t size,
                                     const std::stop_token& stop, Use use) {
  TRY(check_key(key));
  if (size == 0) {
    TRY(head(key));
    return 0;
  }
  const std::string first = std::to_string(offset);
  const std::string last = range_end(offset, size);
  auto replies = TRY(ask(stop, [&](RedisConnection& to) { to.add({"GETRANGE", key, first, last}); }));
  const std::string_view bytes = text_of(*replies[0]);
  if (bytes.empty()) TRY(head(key));  // an empty answer is also that of an object that is not there
  if (!bytes.empty()) use(bytes);
  return bytes.size();
}

Status RedisStore::remove_many(std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(check_key(key));
  Status first;
  for (; !keys.empty(); keys = keys.subspan(std::min(keys.size(), kKeysAtOnce))) {
    std::vector<std::string_view> words = {"DEL"};
    for (const std::string& key : keys.first(std::min(keys.size(), kKeysAtOnce))) words.push_back(key);
    auto done = ask({}, [&](RedisConnection& to) { to.add(words); });
    if (!done && first) first = fail(std::move(done).error());
  }
  return first;
}

// Redis keeps no time of a change: it is always now.
Result<ObjectInfo> RedisStore::head(std::string_view key) {
  TRY(check_key(key));
  auto replies = TRY(ask({}, [&](RedisConnection& to) {
    to.add({"EXISTS", key});
    to.add({"STRLEN", key});
  }));
  if (replies[0]->integer == 0) return fail(ENOENT, no_object(key));
  return ObjectInfo{std::string(key), static_cast<uint64_t>(replies[1]->integer), Clock::system().now()};
}

// The first keys after `after`, in order; fewer than kKeysKept only if there are no more.
Result<std::vector<std::string>> RedisStore::keys_after(std::string_view prefix, std::string_view after) {
  const std::string pattern = pattern_of(prefix);
  std::set<std::string, std::less<>> first;
  std::string cursor = "0";
  do {
    auto replies = TRY(
        ask({}, [&](RedisConnection& to) { to.add({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}); }));
    const redisReply& page = *replies[0];
    if (page.type != REDIS_REPLY_ARRAY || page.elements != 2 || page.element[1]->type != REDIS_REPLY_ARRAY) {
      return fail(EIO, "the Redis server answers SCAN with something else");
    }
    cursor = text_of(*page.element[0]);
    for (size_t i = 0; i < page.element[1]->elements; i++) {
      const std::string_view key = text_of(*page.element[1]->element[i]);
      if (key <= after || !key.starts_with(prefix)) continue;
      if (first.size() == kKeysKept && key >= *first.rbegin()) continue;
      first.emplace(key);
      if (first.size() > kKeysKept) first.erase(std::prev(first.end()));
    }
  } while (cursor != "0");
  return std::vector<std::string>(first.begin(), first.end());
}

Result<std::vector<ObjectInfo>> RedisStore::list(std::string_view prefix, std::string_view after,
                                                 size_t limit) {
  std::vector<ObjectInfo> found;
  Listing listing;
  if (!after.empty()) {
    std::lock_guard lock(mutex_);
    const bool recent = Monotonic::now() - listing_.scanned < kListingAge;
    if (recent && listing_.prefix == prefix && listing_.after == after) listing = std::move(listing_);
  }
  std::string last(after);
  size_t next = 0;
  while (found.size() < limit) {
    if (next == listing.keys.size()) {
      if (listing.to_the_end) break;
      listing.keys = TRY(keys_after(prefix, last));
      listing.scanned = Monotonic::now();
      listing.to_the_end = listing.keys.size() < kKeysKept;
      next = 0;
      continue;
    }
    const size_t count = std::min({limit - found.size(), kKeysAtOnce, listing.keys.size() - next});
    const auto keys = std::span(listing.keys).subspan(next, count);
    auto replies = TRY(ask(
        {},
        [&](RedisConnection& to) {
          for (const std::string& key : keys) {
            to.add({"STRLEN", key});
            to.add({"EXISTS", key});
          }
        },
        /*lenient=*/true));
    const Time now = Clock::system().now();
    for (size_t i = 0; i < count; i++) {
      // Other things than strings are none of ours.
      if (replies[2 * i]->type != REDIS_REPLY_INTEGER || replies[2 * i + 1]->integer == 0) continue;
      found.push_back({keys[i], static_cast<uint64_t>(replies[2 * i]->integer), now});
    }
    last = keys.back();
    next += count;
  }
  listing.keys.erase(listing.keys.begin(), listing.keys.begin() + static_cast<ptrdiff_t>(next));
  listing.prefix = prefix;
  listing.after = last;
  std::lock_guard lock(mutex_);
  if (!listing.keys.empty()) listing_ = std::move(listing);
  return found;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_redis(const StoreConfig& config) {
  RedisAddress address = TRY(parse_redis_bucket(config.bucket));
  if (!config.access_key.empty()) address.user = config.access_key;
  if (!config.secret_key.empty()) address.password = config.secret_key;
  return std::make_unique<RedisStore>(std::move(address), config.memory);
}

}  // namespace cider::object
