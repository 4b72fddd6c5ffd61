// One store over several buckets: a volume made with --shards N.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "object/object_store.h"

namespace cider::object {

// Which of `shards` buckets holds the object: FNV-1a (32 bits) of the whole key, the volume's prefix with it,
// modulo `shards`. JuiceFS 1.4 pkg/object/sharding.go.
size_t shard_of(std::string_view key, size_t shards);

// `bucket` with the shard's number in place of its one "%d"; "%%" stands for a percent sign. EINVAL where
// there is no "%d", a second one, or another directive.
Result<std::string> bucket_of_shard(std::string_view bucket, int shard);

// Spreads objects over `stores`, of which there is at least one. Listings are merged in the order of keys.
std::unique_ptr<ObjectStore> with_shards(std::vector<std::unique_ptr<ObjectStore>> stores);

}  // namespace cider::object
