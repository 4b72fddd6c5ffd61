// Makes new names in folders survive a power loss. Whoever waits at the same time is served by one fsync of
// each folder (group commit).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/result.h"

namespace cider::chunk {

// Thread-safe.
class FolderSync {
 public:
  // Returns when the names in `folder` and in all folders between it and `root` (which it lies in) are on the
  // disk. Both end with '/'.
  Status sync(const std::string& folder, const std::string& root);

 private:
  struct Batch {
    std::set<std::string> folders;
    std::map<std::string, Error> failed;
    bool done = false;
  };
  static void run(Batch& batch);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Batch> next_;
  bool running_ = false;
};

}  // namespace cider::chunk
