// What the threads that take requests from the kernel have in common.
#pragma once

namespace cider::fuse {

// Names the calling thread, keeps the process's signals away from it, and tells the kernel that memory
// reclaim must not wait for it.
void prepare_receiver_thread(const char* name);

}  // namespace cider::fuse
