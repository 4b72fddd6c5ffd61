// Volumes, without mounting them: open an engine, format, load.
#include <sys/random.h>

#include <cstdio>

#include "meta/meta.h"
#include "meta/store/memory/memory_store.h"
#include "meta/store/redis/redis_store.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/sql/sqlite/sqlite_store.h"

namespace cider::meta {
namespace {

Result<std::string> random_uuid() {
  unsigned char b[16];
  if (getrandom(b, sizeof b, 0) != static_cast<ssize_t>(sizeof b))
    return fail_errno("random numbers for the volume's UUID");
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  char out[37];
  std::snprintf(out, sizeof out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                b[15]);
  return std::string(out);
}

Attr directory_attr(uint16_t mode, Time now) {
  Attr attr;
  attr.type = FileType::directory;
  attr.mode = mode;
  attr.nlink = 2;
  attr.length = kDirectoryLength;
  attr.parent = kRootIno;
  attr.atime = attr.mtime = attr.ctime = now;
  return attr;
}

enum class Engine { sqlite, redis, memory };

struct StoreUrl {
  Engine engine;
  std::string rest;  // of SQLite the path, of Redis the whole URL
};

Result<StoreUrl> parse_store_url(std::string_view url) {
  size_t colon = url.find("://");
  std::string_view scheme = colon == std::string_view::npos ? std::string_view{} : url.substr(0, colon);
  std::string rest(colon == std::string_view::npos ? std::string_view{} : url.substr(colon + 3));
  if (scheme == "sqlite3") {
    if (rest.empty())
      return fail(EINVAL, "META URL '" + std::string(url) + "' names no file: sqlite3://PATH");
    return StoreUrl{Engine::sqlite, std::move(rest)};
  }
  if (scheme == "redis" || scheme == "rediss" || scheme == "unix")
    return StoreUrl{Engine::redis, std::string(url)};
  // JuiceFS's short form: an address alone is Redis's.
  if (colon == std::string_view::npos && !url.empty())
    return StoreUrl{Engine::redis, "redis://" + std::string(url)};
  if (scheme == "memory" || scheme == "memkv") return StoreUrl{Engine::memory, {}};
  return fail(
      EINVAL,
      "META URL '" + std::string(url) +
          "' is of no supported engine; use sqlite3://PATH, redis[s]://HOST:PORT/DB or unix:///SOCKET?db=DB");
}

}  // namespace

Status check_store_url(std::string_view url) {
  const StoreUrl parsed = TRY(parse_store_url(url));
  if (parsed.engine == Engine::redis) TRY(redis::parse_redis_url(parsed.rest));
  return {};
}

Result<std::unique_ptr<Store>> open_store(std::string_view url, bool create, bool read_only) {
  const StoreUrl parsed = TRY(parse_store_url(url));
  switch (parsed.engine) {
    case Engine::sqlite:
      return open_sqlite(parsed.rest, SqliteOptions{.create = create, .read_only = read_only});
    case Engine::redis:
      return open_redis(parsed.rest, read_only);
    case Engine::memory:
      break;
  }
  return std::unique_ptr<Store>(std::make_unique<MemoryStore>());
}

Result<Volume> load_volume(Store& store) {
  auto setting = TRY(store.load_setting());
  if (!setting) return fail(ENOENT, store.describe() + " holds no volume; make one with: ciderfs format");
  Volume volume = TRY(decode_volume(*setting));
  TRY(check_client_version(volume));
  if (volume.change_log) {
    return fail(EOPNOTSUPP, "volume " + volume.name +
                                " keeps a change log, which this version cannot write; switch it off with: "
                                "juicefs config META-URL --changelog=false");
  }
  return volume;
}

Status format_volume(Store& store, Volume* volume, const Clock& clock) {
  TRY(check_volume(*volume));
  if (volume->uuid.empty()) volume->uuid = TRY(random_uuid());
  volume->min_client_version = needed_client_version(*volume);
  std::string setting = TRY(encode_volume(*volume));
  Time now = clock.now();
  std::optional<Attr> trash;
  if (volume->trash_days > 0) trash = directory_attr(0555, now);
  return store.create_volume(setting, directory_attr(0777, now), trash);
}

}  // namespace cider::meta
