#include "meta/testing/engines.h"

#include <stdexcept>
#include <string_view>

#include "meta/store/engines.h"
#include "meta/store/redis/client.h"
#include "meta/testing/postgres_server.h"
#include "meta/testing/redis_cluster.h"
#include "meta/testing/redis_server.h"

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

std::string make_postgres(const std::filesystem::path&) {
  std::string url = PostgresServer::shared().url();
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
    {Engine::postgres, "postgres", make_postgres, dump_postgres},
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
  for (const EngineTraits& candidate : kEngines) engines.push_back(candidate.engine);
  return engines;
}

std::vector<Engine> local_engines() {
  return {Engine::memory, Engine::memory_conflicts, Engine::sqlite};
}

}  // namespace cider::meta::testing
