// Small things around file descriptors and directories, for the file driver.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/result.h"
#include "base/types.h"
#include "base/unique_fd.h"

namespace cider::object {

inline Time mtime_of(const struct stat& st) {
  return {st.st_mtim.tv_sec, static_cast<uint32_t>(st.st_mtim.tv_nsec)};
}

// "/a/b" of "/a/b/c"; "/" of "/a".
std::string parent_of(const std::string& path);

// Makes `path` and what is missing above it, mode 0777 less the umask. The first `existing` bytes are taken
// to be there.
Status make_directories(const std::string& path, size_t existing);

Status sync_directory(const std::string& path);

}  // namespace cider::object
