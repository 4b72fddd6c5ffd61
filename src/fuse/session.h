// One mount being served: from mount(2) to the answer of its last request.
#pragma once

#include <future>
#include <memory>

#include "base/result.h"
#include "fuse/dev_transport.h"
#include "fuse/dispatcher.h"
#include "fuse/mount.h"
#include "fuse/notifier.h"
#include "fuse/options.h"
#include "fuse/ring_workers.h"

namespace cider::fuse {

struct SessionOptions {
  MountRequest mount;
  FuseOptions fuse;
  DevTransportOptions transport;  // max_write follows fuse.max_write
  RingOptions rings;              // if fuse.io_uring
};

class Session {
 public:
  // Mounts, and returns when the kernel can send requests. `fs` must live until wait() has returned.
  static Result<std::unique_ptr<Session>> start(vfs::FileSystem& fs, const SessionOptions& options);
  // Unmounts lazily and waits, where that was not done.
  ~Session();

  // Returns when the file system has been unmounted by anybody, all requests have been answered and all
  // threads have ended. No FLUSH or RELEASE is owed then: the kernel sends no DESTROY, so `fs` must flush
  // what is left by itself.
  void wait();

  // Starts the end: EBUSY while files are open, unless `lazy`. Does nothing once it has ended. From any
  // thread but a handler's.
  Status request_unmount(bool lazy);

 private:
  Session(vfs::FileSystem& fs, const SessionOptions& options, UniqueFd device);
  Status serve();
  Status start_rings();

  const SessionOptions options_;
  std::promise<Status> init_;
  InterruptTable interrupts_;
  DevTransport transport_;
  std::unique_ptr<RingWorkers> rings_;  // null: all requests come through /dev/fuse
  std::shared_ptr<Notifier> notifier_;  // shared with the file system's callback, which may outlive us
  Dispatcher dispatcher_;
  bool waited_ = false;
};

}  // namespace cider::fuse
