#include "chunk/staged_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace cider::chunk {
namespace {

std::string folder_of(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/') + 1));
}

// All are on their way before the first is waited for, so that one commit of the file system does for many.
Status sync_data(CacheDir& dir, std::span<const BlockName> blocks, std::set<std::string>* folders) {
  std::vector<UniqueFd> open;
  for (const BlockName& block : blocks) {
    const BlockPath path = dir.staging(block, BlockForm::plain);
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) continue;
    if (!fd) return fail_errno("open");
    ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    folders->insert(folder_of(path));
    open.push_back(std::move(fd));
  }
  for (const UniqueFd& fd : open) {
    if (::fdatasync(fd.get()) != 0) return fail_errno("fdatasync");
  }
  return {};
}

}  // namespace

Status sync_staged(CacheDir& dir, FolderSync& folders, std::span<const BlockName> blocks) {
  constexpr size_t kAtOnce = 64;  // open files
  std::set<std::string> touched;
  while (!blocks.empty()) {
    const size_t n = std::min(blocks.size(), kAtOnce);
    TRY(sync_data(dir, blocks.first(n), &touched));
    blocks = blocks.subspan(n);
  }
  for (const std::string& folder : touched) {
    Status synced = folders.sync(folder, dir.path());
    if (!synced && synced.error().code != ENOENT) return synced;  // removed with all that was in it
  }
  return {};
}

}  // namespace cider::chunk
