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
  // disk. Both end with '/'. The names above are written once, as every fsync costs a flush of the disk.
  Status sync(const std::string& folder, const std::string& root);

 private:
  // What a folder is known by: another one may come in its place.
  struct Identity {
    uint64_t inode = 0;
    int64_t born_seconds = 0;
    uint32_t born_nanos = 0;
    bool operator==(const Identity&) const = default;
  };
  struct Batch {
    std::map<std::string, std::string> roots;  // by folder
    std::map<std::string, Error> failed;       // by folder
    bool done = false;
  };
  void run(Batch& batch);
  Status sync_chain(const std::string& folder, const std::string& root, std::set<std::string>& done);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Batch> next_;
  bool running_ = false;
  // Folders whose own names have been made safe; used by the thread that runs.
  std::map<std::string, Identity> named_;
};

}  // namespace cider::chunk
