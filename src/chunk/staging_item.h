// What staging.cc, staging_recovery.cc and staging_upload.cc share.
#pragma once

#include <mutex>
#include <string>

#include "chunk/staging.h"

namespace cider::chunk {

inline std::string text(const BlockName& block) {
  return std::to_string(block.slice) + "_" + std::to_string(block.index) + "_" + std::to_string(block.bytes);
}

// Another block of the same name is another item.
struct Staging::Item {
  const BlockName block;
  const size_t place;
  const BlockForm form;
  const Time added;
  const bool journaled;  // its journal knows of it
  const uint64_t number;
  bool tried = false;  // the store may have an object of the name
  Millis pause{0};
  Monotonic::time_point not_before{};
};

// Whoever changes what a name has on the disk is alone with it.
class Staging::Turn {
 public:
  Turn(Staging& staging, const BlockName& block) : staging_(staging), block_(block) {
    std::unique_lock lock(staging_.mutex_);
    staging_.turn_over_.wait(lock, [&] { return staging_.turns_.insert(block_).second; });
  }
  ~Turn() {
    std::lock_guard lock(staging_.mutex_);
    staging_.turns_.erase(block_);
    staging_.turn_over_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Staging& staging_;
  const BlockName block_;
};

}  // namespace cider::chunk
