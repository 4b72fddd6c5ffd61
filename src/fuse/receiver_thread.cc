#include "fuse/receiver_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

namespace cider::fuse {

void prepare_receiver_thread(const char* name) {
  pthread_setname_np(pthread_self(), name);
  // The process's signals belong to its main thread.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
#ifdef PR_SET_IO_FLUSHER
  // Memory reclaim must not wait for this thread, which may have to serve it. Needs CAP_SYS_RESOURCE;
  // without, no matter.
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
#endif
}

}  // namespace cider::fuse
