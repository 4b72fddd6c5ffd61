// What the drivers of object/ share; not for other modules. A new driver adds its open function here and a
// line to the table in open_store.cc.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "object/object_store.h"

namespace cider::object {

Result<std::unique_ptr<ObjectStore>> open_file(const StoreConfig& config);
Result<std::unique_ptr<ObjectStore>> open_mem(const StoreConfig& config);
// `s3` and the names of stores that speak its interface (s3/compatible.cc): one store for each of several
// configurations that differ in their buckets alone, the shards of a volume. They ask for keys together.
Result<std::vector<std::unique_ptr<ObjectStore>>> open_s3(std::span<const StoreConfig> shards);
Result<std::unique_ptr<ObjectStore>> open_redis(const StoreConfig& config);
Result<std::unique_ptr<ObjectStore>> open_sftp(const StoreConfig& config);
Result<std::unique_ptr<ObjectStore>> open_sqlite3(const StoreConfig& config);
Result<std::unique_ptr<ObjectStore>> open_webdav(const StoreConfig& config);

// EINVAL for a key that could leave the bucket or that stores disagree about: empty, absolute, with an empty,
// "." or ".." part, or with a NUL byte.
Status check_key(std::string_view key);

// Messages that all drivers word alike.
std::string no_object(std::string_view key);
std::string short_object(std::string_view key, uint64_t has, uint64_t wanted);
std::string large_object(std::string_view key, uint64_t has, uint64_t limit);

}  // namespace cider::object
