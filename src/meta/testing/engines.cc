#include "meta/testing/engines.h"

#include <stdexcept>
#include <string_view>

#include "meta/store/engines.h"
#include "meta/store/kv/etcd/etcd_database.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/rocksdb/rocks_database.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/store/redis/client.h"
#include "meta/testing/etcd_server.h"
#include "meta/testing/mysql_server.h"
#include "meta/testing/postgres_server.h"
#include "meta/testing/redis_cluster.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/tidb_server.h"
#include "meta/testing/tikv_server.h"

namespace cider::meta::testing {
namespace {

constexpr int kClusterDb = 2;

template <class T>
void must(const Result<T>& status, const char* what) {
  if (!status) throw std::runtime_error(std::string(what) + ": " + status.error().to_string());
}

std::string make_sqlite(const std::filesystem::path& folder) {
  return "sqlite3://" + (folder / "meta.db").string();
}

Result<VolumeDump> dump_sqlite_url(const std::string& url) {
  return dump_sqlite(url.substr(std::string_view("sqlite3://").size()));
}

std::string make_redis(const std::filesystem::path&) {
  std::string url = RedisServer::shared().url();
  redis::Client client(redis::parse_redis_url(url).value());
  must(client.run("FLUSHDB"), "empty the database");
  return url;
}

std::string make_redis_cluster(const std::filesystem::path&) {
  std::string url = RedisCluster::shared().url(kClusterDb);
  auto store = open_store(url, true, false);
  must(store, "open");
  must((*store)->destroy_volume(), "remove what the test before has left");
  return url;
}

constexpr std::string_view kMemkv = "memkv://";

// It is kept until the next one is made.
std::string make_memkv(const std::filesystem::path& folder) {
  static std::shared_ptr<kv::MemDatabase> last;
  last = kv::MemDatabase::of_name(folder.string(), {.stale = 0.1, .conflict = 0.05, .deletes_ranges = true});
  return std::string(kMemkv) + folder.string();
}

Result<VolumeDump> dump_memkv(const std::string& url) {
  return dump_kv(*kv::MemDatabase::of_name(std::string_view(url).substr(kMemkv.size())));
}

constexpr std::string_view kRocksdb = "rocksdb://";

std::string make_rocksdb(const std::filesystem::path& folder) {
  return std::string(kRocksdb) + (folder / "meta.rocks").string();
}

Result<VolumeDump> dump_rocksdb(const std::string& url) {
  return dump_kv(*TRY(kv::open_rocksdb(url.substr(kRocksdb.size()), {})));
}

std::string make_etcd(const std::filesystem::path& folder) {
  return EtcdServer::shared().url("/" + folder.filename().string());
}

Result<VolumeDump> dump_etcd(const std::string& url) {
  return dump_kv(*TRY(kv::open_etcd(url, true)));
}

std::string make_tikv(const std::filesystem::path&) {
  std::string url = TikvServer::shared().url(TikvServer::kPartedPrefix);
  auto store = open_store(url, true, false);
  must(store, "open");
  must((*store)->destroy_volume(), "remove what the test before has left");
  return url;
}

Result<VolumeDump> dump_tikv(const std::string& url) {
  return dump_kv(*TRY(kv::open_tikv(url, true)));
}

template <class Server>
std::string make_sql(const std::filesystem::path&) {
  std::string url = Server::shared().url();
  auto store = open_store(url, true, false);
  must(store, "open");
  must((*store)->destroy_volume(), "remove what the test before has left");
  return url;
}

constexpr EngineTraits kEngines[] = {
    {Engine::memory, "memory", nullptr, nullptr},
    {Engine::memory_conflicts, "memory_conflicts", nullptr, nullptr},
    {Engine::sqlite, "sqlite", make_sqlite, dump_sqlite_url},
    {Engine::redis, "redis", make_redis, dump_redis},
    {Engine::redis_cluster, "redis_cluster", make_redis_cluster, dump_redis},
    {Engine::memkv, "memkv", make_memkv, dump_memkv},
    {Engine::rocksdb, "rocksdb", make_rocksdb, dump_rocksdb},
    {Engine::etcd, "etcd", make_etcd, dump_etcd},
    {Engine::tikv, "tikv", make_tikv, dump_tikv},
    {Engine::postgres, "postgres", make_sql<PostgresServer>, dump_postgres},
    {Engine::mysql, "mysql", make_sql<MysqlServer>, dump_mysql},
    {Engine::tidb, "tidb", make_sql<TidbServer>, dump_mysql},
};

}  // namespace

const EngineTraits& traits(Engine engine) {
  for (const EngineTraits& candidate : kEngines) {
    if (candidate.engine == engine) return candidate;
  }
  throw std::runtime_error("an engine that is not in the table");
}

std::string engine_name(Engine engine) {
  return traits(engine).name;
}

std::vector<Engine> all_engines() {
  std::vector<Engine> engines;
  for (const EngineTraits& candidate : kEngines) {
    if (candidate.engine == Engine::tikv && !TikvServer::is_there()) continue;
    if (candidate.engine == Engine::tidb && !TidbServer::is_there()) continue;
    engines.push_back(candidate.engine);
  }
  return engines;
}

std::vector<Engine> local_engines() {
  return {Engine::memory, Engine::memory_conflicts, Engine::sqlite, Engine::memkv, Engine::rocksdb};
}

}  // namespace cider::meta::testing
