// Entries and inode records as they were seen last, to run an operation without asking first. What it
// concluded from them is checked by its commit, so that a stale hint costs one more round trip and nothing
// else.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "meta/store/redis/records.h"
#include "meta/store/writes.h"

namespace cider::meta::redis {

// Thread-safe. Bounded: a new hint takes the place of another.
class Hints {
 public:
  Hints();

  // The answers to a question about an inode or an entry; nullopt where any of them is unknown, and for other
  // questions.
  std::optional<Answer> recall(const ReadItem& item);
  // What the server answered to a question.
  void remember(const ReadItem& item, const Answer& answer);
  // What a commit of ours has left behind.
  void apply(const WriteItem& item);
  void clear();

 private:
  struct Slot {
    std::string key;
    Record value;
  };
  struct Shard {
    std::mutex mutex;
    std::vector<Slot> slots;
  };
  static constexpr size_t kShards = 16;
  static constexpr size_t kSlotsPerShard = 2048;

  Shard& shard_of(size_t hash) { return shards_[hash % kShards]; }
  std::optional<Record> get(const std::string& key);
  void put(const std::string& key, Record value);
  void forget(const std::string& key);
  void patch(const PatchNode& patch);

  std::array<Shard, kShards> shards_;
};

}  // namespace cider::meta::redis
