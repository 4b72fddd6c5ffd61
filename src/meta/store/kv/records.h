// Values of ordered-KV engines that no other engine has; the others are of meta/model. Format: JuiceFS 1.4
// pkg/meta/tkv.go and tkv_lock.go. Decoders answer EIO.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/model/locks.h"
#include "meta/store/reads.h"
#include "meta/store/store.h"

namespace cider::meta::kv {

// Counters that are added to: 8 bytes, little-endian.
std::string encode_counter(int64_t value);
Result<int64_t> decode_counter(std::string_view record);
// Numbers that are set, times above all: 8 bytes, big-endian.
std::string encode_number(int64_t value);
Result<int64_t> decode_number(std::string_view record);
// Which of both a counter of the volume is.
bool is_set_as_number(Counter counter);

std::string encode_dir_stat(const DirStat& stat);
Result<DirStat> decode_dir_stat(std::string_view record);

// JuiceFS writes holders in any order; they are decoded in the order of holders.
std::string encode_flocks(const std::vector<Flock>& table);
Result<std::vector<Flock>> decode_flocks(std::string_view record);
std::string encode_plocks(const std::vector<Plock>& table);
Result<std::vector<Plock>> decode_plocks(std::string_view record);

// Ours: the inode and the range waited for, beside the waiter in the key.
std::string encode_lock_wait(const LockWait& wait);
Result<LockWait> decode_lock_wait(const LockHolder& waiter, std::string_view record);

}  // namespace cider::meta::kv
