#include "meta/store/engines.h"

#include "base/url.h"
#include "meta/store/kv/etcd/etcd_database.h"
#include "meta/store/kv/etcd/etcd_url.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/rocksdb/rocks_database.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/store/kv/tikv/tikv_url.h"
#include "meta/store/memory/memory_store.h"
#include "meta/store/redis/redis_store.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/sql/mysql/mysql_store.h"
#include "meta/store/sql/mysql/mysql_url.h"
#include "meta/store/sql/postgres/postgres_store.h"
#include "meta/store/sql/postgres/postgres_url.h"
#include "meta/store/sql/sqlite/sqlite_store.h"

namespace cider::meta {
namespace {

constexpr std::string_view kSchemeEnd = "://";

struct Engine {
  std::string_view scheme;
  std::string_view example;  // for the error that names those supported; empty: not told
  Status (*check)(std::string_view url);
  Result<std::unique_ptr<Store>> (*open)(std::string_view url, bool create, bool read_only);
  bool is_local = false;  // what follows the scheme is a path
};

std::string_view rest_of(std::string_view url) {
  return url.substr(url.find(kSchemeEnd) + kSchemeEnd.size());
}

Status check_path(std::string_view url) {
  if (!rest_of(url).empty()) return {};
  return fail(EINVAL, "META URL '" + std::string(url) + "' names no file: " + std::string(url) + "PATH");
}

Result<std::unique_ptr<Store>> open_sqlite_url(std::string_view url, bool create, bool read_only) {
  return open_sqlite(std::string(rest_of(url)), SqliteOptions{.create = create, .read_only = read_only});
}

Status check_redis(std::string_view url) {
  TRY(redis::parse_redis_url(url));
  return {};
}

Result<std::unique_ptr<Store>> open_redis_url(std::string_view url, bool, bool read_only) {
  return open_redis(url, read_only);
}

Status check_mysql(std::string_view url) {
  TRY(mysql::parse_mysql_url(url));
  return {};
}

Result<std::unique_ptr<Store>> open_mysql_url(std::string_view url, bool, bool read_only) {
  return open_mysql(url, read_only);
}

Status check_postgres(std::string_view url) {
  TRY(postgres::parse_postgres_url(url));
  return {};
}

Result<std::unique_ptr<Store>> open_postgres_url(std::string_view url, bool, bool read_only) {
  return open_postgres(url, read_only);
}

Status nothing_to_check(std::string_view) {
  return {};
}

Result<std::unique_ptr<Store>> open_memory(std::string_view, bool, bool) {
  return std::unique_ptr<Store>(std::make_unique<MemoryStore>());
}

Result<std::unique_ptr<Store>> open_memkv(std::string_view url, bool, bool) {
  return std::make_unique<kv::KvStore>(kv::MemDatabase::of_name(rest_of(url)));
}

Status check_rocksdb(std::string_view url) {
  if (rest_of(url).starts_with('/')) return {};
  return fail(EINVAL, "META URL '" + std::string(url) + "' names no folder: rocksdb:///path/to/folder");
}

Result<std::unique_ptr<Store>> open_rocksdb_url(std::string_view url, bool create, bool read_only) {
  return std::make_unique<kv::KvStore>(
      TRY(kv::open_rocksdb(std::string(rest_of(url)), {.create = create, .read_only = read_only})));
}

Status check_etcd(std::string_view url) {
  TRY(kv::parse_etcd_url(url));
  return {};
}

Result<std::unique_ptr<Store>> open_etcd_url(std::string_view url, bool, bool read_only) {
  return std::make_unique<kv::KvStore>(TRY(kv::open_etcd(url, read_only)));
}

Status check_tikv(std::string_view url) {
  TRY(kv::parse_tikv_url(url));
  return {};
}

Result<std::unique_ptr<Store>> open_tikv_url(std::string_view url, bool, bool read_only) {
  return std::make_unique<kv::KvStore>(TRY(kv::open_tikv(url, read_only)));
}

constexpr Engine kEngines[] = {
    {"sqlite3", "sqlite3://PATH", check_path, open_sqlite_url, /*is_local=*/true},
    {"rocksdb", "rocksdb:///FOLDER", check_rocksdb, open_rocksdb_url, /*is_local=*/true},
    {"redis", "redis[s]://HOST:PORT/DB", check_redis, open_redis_url},
    {"rediss", "", check_redis, open_redis_url},
    {"unix", "unix:///SOCKET?db=DB", check_redis, open_redis_url},
    {"etcd", "etcd://HOST:PORT/PREFIX", check_etcd, open_etcd_url},
    {"tikv", "tikv://PD:PORT/PREFIX", check_tikv, open_tikv_url},
    {"mysql", "mysql://USER@(HOST:PORT)/DB", check_mysql, open_mysql_url},
    {"postgres", "postgres://USER@HOST:PORT/DB", check_postgres, open_postgres_url},
    {"postgresql", "", check_postgres, open_postgres_url},
    {"memory", "", nothing_to_check, open_memory},
    {"memkv", "", nothing_to_check, open_memkv},
};

Result<const Engine*> engine_of(std::string_view url) {
  std::string supported;
  const std::string_view scheme = url.substr(0, url.find(kSchemeEnd));
  for (const Engine& engine : kEngines) {
    if (scheme.size() < url.size() && engine.scheme == scheme) return &engine;
    if (!engine.example.empty()) supported += (supported.empty() ? "" : ", ") + std::string(engine.example);
  }
  return fail(EINVAL, "META URL '" + without_password(std::string(url)) +
                          "' is of no supported engine; there are " + supported);
}

// JuiceFS's short form: an address alone is Redis's.
std::string with_scheme(std::string_view url) {
  const bool is_short = !url.empty() && url.find(kSchemeEnd) == url.npos;
  return (is_short ? "redis://" : "") + std::string(url);
}

}  // namespace

Status check_store_url(std::string_view given) {
  const std::string url = with_scheme(given);
  return TRY(engine_of(url))->check(url);
}

Result<std::unique_ptr<Store>> open_store(std::string_view given, bool create, bool read_only) {
  const std::string url = with_scheme(given);
  const Engine* engine = TRY(engine_of(url));
  TRY(engine->check(url));
  return engine->open(url, create, read_only);
}

std::string_view local_path(std::string_view url) {
  const auto engine = engine_of(url);
  return engine && (*engine)->is_local ? rest_of(url) : std::string_view{};
}

}  // namespace cider::meta
