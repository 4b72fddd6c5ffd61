#include "fuse/ring_nudge.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "fuse/receiver_thread.h"

namespace cider::fuse {

void RingNudge::start(unsigned processor) {
  std::lock_guard lock(mutex_);
  if (under_way_ == 0) threads_.clear();  // they have ended but for a few instructions
  under_way_.fetch_add(1);
  try {
    threads_.emplace_back([this, processor] { send(processor); });
  } catch (const std::system_error& e) {
    under_way_.fetch_sub(1);
    log::warning(std::string("fuse: can't start a thread: ") + e.what());
  }
}

// The requests of a thread go to the queue of the processor that it runs on.
void RingNudge::send(unsigned processor) {
  prepare_receiver_thread("fuse-nudge");
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(processor, &only);
  if (::sched_setaffinity(0, sizeof only, &only) == 0) {
    const auto self = static_cast<uint32_t>(::gettid());
    {
      std::lock_guard lock(mutex_);
      callers_.insert(self);
    }
    struct statx ignored;
    (void)::statx(AT_FDCWD, mountpoint_.c_str(), AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_MODE, &ignored);
    std::lock_guard lock(mutex_);
    callers_.erase(self);
  } else if (!told_.exchange(true)) {
    log::warning("fuse: may not run on processor " + std::to_string(processor) +
                 "; requests from there may wait for one another");
  }
  under_way_.fetch_sub(1);
}

bool RingNudge::is(const fuse_in_header& header) {
  if (under_way_.load() == 0 || header.opcode != FUSE_GETATTR) return false;
  std::lock_guard lock(mutex_);
  return callers_.contains(header.pid);
}

void RingNudge::join() {
  std::unique_lock lock(mutex_);
  std::vector<std::jthread> threads = std::exchange(threads_, {});
  lock.unlock();
}

}  // namespace cider::fuse
