#include "chunk/folder_sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "base/unique_fd.h"

namespace cider::chunk {
namespace {

constexpr size_t kMostNamed = 256;

std::string parent_of(const std::string& folder) {
  return folder.substr(0, folder.find_last_of('/', folder.size() - 2) + 1);
}

}  // namespace

Status FolderSync::sync(const std::string& folder, const std::string& root) {
  std::unique_lock lock(mutex_);
  if (!next_) next_ = std::make_shared<Batch>();
  const std::shared_ptr<Batch> mine = next_;
  mine->roots.emplace(folder, root);
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
  auto failed = mine->failed.find(folder);
  if (failed != mine->failed.end()) return fail(failed->second);
  return {};
}

void FolderSync::run(Batch& batch) {
  std::set<std::string> done;
  for (const auto& [folder, root] : batch.roots) {
    Status synced = sync_chain(folder, root, done);
    if (!synced) batch.failed.emplace(folder, synced.error());
  }
}

// `done`: folders of this batch that need no second look.
Status FolderSync::sync_chain(const std::string& folder, const std::string& root,
                              std::set<std::string>& done) {
  std::optional<Identity> identity;
  for (std::string at = folder; at.size() >= root.size() && at.size() > 1; at = parent_of(at)) {
    if (done.contains(at)) continue;
    UniqueFd fd(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync of " + at);
    done.insert(at);
    if (at != folder) continue;
    struct statx about{};
    if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &about) == 0 &&
        (about.stx_mask & STATX_BTIME)) {
      identity = Identity{about.stx_ino, about.stx_btime.tv_sec, about.stx_btime.tv_nsec};
    }
    const auto named = named_.find(folder);
    if (identity && named != named_.end() && named->second == *identity) return {};
  }
  if (named_.size() >= kMostNamed) named_.clear();
  if (identity) named_[folder] = *identity;
  return {};
}

}  // namespace cider::chunk
