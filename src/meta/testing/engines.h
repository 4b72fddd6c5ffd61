// The engines that the tests of operations run over: one line of the table in engines.cc each. For tests
// only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "meta/testing/volume_dump.h"

namespace cider::meta::testing {

// memory_conflicts: every second operation runs twice, and a foreign client changes the root between reads.
// tidb: only where its server has been built.
// memkv: views show what has been, and commits fail without a reason, now and then.
enum class Engine {
  memory,
  memory_conflicts,
  sqlite,
  redis,
  redis_cluster,
  memkv,
  rocksdb,
  postgres,
  mysql,
  tidb,
  etcd,
  tikv
};

struct EngineTraits {
  Engine engine;
  const char* name;
  // An empty database, perhaps in `folder`, an empty folder that goes with the volume; its META URL. Null for
  // the engines in memory, which have none. Throws where there is no server to be had.
  std::string (*make)(const std::filesystem::path& folder);
  // All records, read past the Store.
  Result<VolumeDump> (*dump)(const std::string& url);
};

const EngineTraits& traits(Engine engine);
std::string engine_name(Engine engine);

// Whose columns end at 64 KiB.
constexpr bool has_short_blobs(Engine engine) {
  return engine == Engine::mysql || engine == Engine::tidb;
}

std::vector<Engine> all_engines();
std::vector<Engine> local_engines();  // those without a server

}  // namespace cider::meta::testing
