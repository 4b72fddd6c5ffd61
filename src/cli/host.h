// What the operating system tells about this machine, and what a mount asks of it for its process.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace cider::cli {

std::string host_name();
// Addresses of all interfaces but the loopback.
std::vector<std::string> ip_addresses();

// For a process that serves a file system; call before threads start. As many open files as allowed; few
// malloc arenas, for a small resident size; memory reclaim that never waits for a file system, which might be
// this one; standard input closed; "/" as directory, so that no other file system is kept busy.
void prepare_mount_process();
void disable_huge_pages();

}  // namespace cider::cli
