#include <algorithm>

#include "object/drivers.h"
#include "object/shards.h"

namespace cider::object {
namespace {

using Stores = std::vector<std::unique_ptr<ObjectStore>>;

struct Driver {
  std::string_view storage;
  Result<Stores> (*open)(std::span<const StoreConfig> shards);
  bool hedged = true;
};

// Of a driver whose stores have nothing in common.
template <auto open>
Result<Stores> each(std::span<const StoreConfig> shards) {
  Stores stores;
  for (const StoreConfig& shard : shards) stores.push_back(TRY(open(shard)));
  return stores;
}

constexpr Driver kDrivers[] = {
    {"file", each<open_file>, /*hedged=*/false},
    {"mem", each<open_mem>, /*hedged=*/false},
    {"redis", each<open_redis>, /*hedged=*/false},
    {"sftp", each<open_sftp>, /*hedged=*/false},
    {"sqlite3", each<open_sqlite3>, /*hedged=*/false},
    {"webdav", each<open_webdav>, true},
    {"s3", open_s3, true},
    {"minio", open_s3, true},
    {"wasabi", open_s3, true},
    {"scw", open_s3, true},
    {"space", open_s3, true},
    {"oos", open_s3, true},
    {"eos", open_s3, true},
    {"ks3", open_s3, true},
    {"qiniu", open_s3, true},
    {"r2", open_s3, true},
    {"b2", open_s3, true},
    {"oss", open_s3, true},
    {"cos", open_s3, true},
    {"obs", open_s3, true},
    {"bos", open_s3, true},
    {"tos", open_s3, true},
};

// What JuiceFS has and this version has not.
constexpr std::string_view kLater[] = {
    "gs",    "wasb",   "ceph",  "hdfs",  "nfs",  "cifs", "smb",   "gluster",  "swift",     "qingstor",
    "ufile", "ibmcos", "storj", "bunny", "tikv", "etcd", "mysql", "postgres", "dragonfly",
};

Result<const Driver*> find_driver(std::string_view name) {
  std::string storage(name);
  std::ranges::transform(storage, storage.begin(), [](unsigned char c) { return std::tolower(c); });
  std::string known;
  for (const Driver& driver : kDrivers) {
    if (driver.storage == storage) return &driver;
    if (!known.empty()) known += ", ";
    known += driver.storage;
  }
  const bool later = std::ranges::find(kLater, storage) != std::end(kLater);
  return fail(EINVAL, "storage \"" + std::string(name) +
                          (later ? "\" is not supported yet; there are: " : "\" is not known; there are: ") +
                          known);
}

Result<std::vector<StoreConfig>> shards_of(const StoreConfig& config) {
  if (config.shards <= 1) return std::vector{config};
  std::vector<StoreConfig> shards;
  for (int shard = 0; shard < config.shards; shard++) {
    shards.push_back(config);
    shards.back().shards = 0;
    shards.back().bucket = TRY(bucket_of_shard(config.bucket, shard));
  }
  return shards;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& config) {
  const Driver& driver = *TRY(find_driver(config.storage));
  Stores stores = TRY(driver.open(TRY(shards_of(config))));
  if (stores.size() == 1) return std::move(stores.front());
  return with_shards(std::move(stores));
}

Status check_storage(std::string_view storage) {
  TRY(find_driver(storage));
  return {};
}

bool is_worth_hedging(std::string_view storage) {
  auto driver = find_driver(storage);
  return driver && (*driver)->hedged;
}

}  // namespace cider::object
