#include "chunk/folder_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "base/unique_fd.h"

namespace cider::chunk {

Status FolderSync::sync(const std::string& folder, const std::string& root) {
  std::vector<std::string> chain;
  for (std::string at = folder; at.size() >= root.size();
       at.resize(at.find_last_of('/', at.size() - 2) + 1)) {
    chain.push_back(at);
    if (at.size() < 2) break;
  }
  std::unique_lock lock(mutex_);
  if (!next_) next_ = std::make_shared<Batch>();
  const std::shared_ptr<Batch> mine = next_;
  mine->folders.insert(chain.begin(), chain.end());
  changed_.wait(lock, [&] { return mine->done || !running_; });
  if (!mine->done) {
    // Nobody is at it: this thread does it for all who have come until now.
    running_ = true;
    next_.reset();
    lock.unlock();
    run(*mine);
    lock.lock();
    mine->done = true;
    running_ = false;
    changed_.notify_all();
  }
  for (const std::string& at : chain) {
    auto failed = mine->failed.find(at);
    if (failed != mine->failed.end()) return fail(failed->second);
  }
  return {};
}

void FolderSync::run(Batch& batch) {
  for (const std::string& folder : batch.folders) {
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd && ::fsync(fd.get()) == 0) continue;
    batch.failed.emplace(folder, fail_errno("fsync of " + folder).error());
  }
}

}  // namespace cider::chunk
