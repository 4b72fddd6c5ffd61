#include "object/shards.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/testing/fixtures.h"
#include "object/testing/faulty_store.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object {
namespace {

namespace fs = std::filesystem;
using testing::chain;
using testing::FaultyStore;
using testing::keys_of;

TEST(Shards, HashIsFnv1a) {
  // Test vectors of FNV-1a, 32 bits.
  constexpr size_t kAll = size_t{1} << 31;
  EXPECT_EQ(shard_of("", kAll), 0x811c9dc5u % kAll);
  EXPECT_EQ(shard_of("a", kAll), 0xe40c292cu % kAll);
  EXPECT_EQ(shard_of("foobar", kAll), 0xbf9cf968u % kAll);
}

// Where JuiceFS has put the objects of a volume with four shards.
TEST(Shards, FixtureOfJuiceFs) {
  CIDER_FIXTURE(fixture, "small-shards/objects");
  int objects = 0;
  for (int shard = 0; shard < 4; shard++) {
    const fs::path bucket = fixture / ("shard" + std::to_string(shard));
    for (const auto& file : fs::recursive_directory_iterator(bucket)) {
      if (!file.is_regular_file()) continue;
      const std::string key = fs::relative(file.path(), bucket);
      EXPECT_EQ(shard_of(key, 4), static_cast<size_t>(shard)) << key;
      objects++;
    }
  }
  EXPECT_GT(objects, 5);
}

TEST(Shards, BucketsAreNumbered) {
  EXPECT_EQ(*bucket_of_shard("/data/shard%d/", 12), "/data/shard12/");
  EXPECT_EQ(*bucket_of_shard("https://b%d.example/a%%20b", 0), "https://b0.example/a%20b");
  for (const char* bad : {"/data", "/data/%d/%d", "/data/%s%d", "/data/%d%"}) {
    EXPECT_EQ(code_of(bucket_of_shard(bad, 0)), EINVAL) << bad;
  }
  StoreConfig config{.storage = "file", .bucket = "/data/x", .shards = 4};
  EXPECT_EQ(code_of(open_store(config)), EINVAL);
}

class ShardedStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::unique_ptr<ObjectStore>> stores;
    for (int i = 0; i < 3; i++) {
      auto one = std::make_unique<FaultyStore>(*open_store({"mem", ""}));
      parts_.push_back(one.get());
      stores.push_back(std::move(one));
    }
    store_ = with_shards(std::move(stores));
    for (int i = 0; i < 500; i++) {
      const std::string key = "k/" + std::to_string(i * i);
      keys_.insert(key);
      ASSERT_TRUE(store_->put(key, chain({key}), {}));
    }
  }

  std::vector<FaultyStore*> parts_;
  std::unique_ptr<ObjectStore> store_;
  std::set<std::string> keys_;
};

TEST_F(ShardedStoreTest, ListsAllShardsInOneOrder) {
  const std::vector<std::string> all(keys_.begin(), keys_.end());
  EXPECT_EQ(keys_of(*store_->list("", "", 1000)), all);
  for (size_t page : {1, 7, 100}) {
    std::vector<std::string> paged;
    while (true) {
      auto next = *store_->list("k/", paged.empty() ? "" : paged.back(), page);
      ASSERT_LE(next.size(), page);
      if (next.empty()) break;
      for (const ObjectInfo& info : next) paged.push_back(info.key);
    }
    EXPECT_EQ(paged, all);
  }
}

TEST_F(ShardedStoreTest, ManyKeysGoToTheirShardsTogether) {
  const std::vector<std::string> all(keys_.begin(), keys_.end());
  ASSERT_TRUE(store_->sync(all));
  parts_[1]->set_rule([](const FaultyStore::Call& call) {
    return FaultyStore::Verdict{.code = call.op == FaultyStore::Op::remove ? EACCES : 0};
  });
  EXPECT_EQ(code_of(store_->remove_many(all)), EACCES);
  for (FaultyStore* part : parts_) EXPECT_EQ(part->calls(FaultyStore::Op::remove), 1);
  auto left = *store_->list("", "", 1000);
  EXPECT_FALSE(left.empty());
  for (const ObjectInfo& info : left) EXPECT_EQ(shard_of(info.key, 3), 1u);
}

TEST_F(ShardedStoreTest, EveryBucketMustBeThere) {
  parts_[2]->set_rule([](const FaultyStore::Call& call) {
    using Op = FaultyStore::Op;
    return FaultyStore::Verdict{.code = call.op == Op::check ? ENOENT : call.op == Op::create ? EACCES : 0};
  });
  EXPECT_EQ(code_of(store_->check_bucket()), ENOENT);
  EXPECT_EQ(code_of(store_->create()), EACCES);
}

}  // namespace
}  // namespace cider::object
