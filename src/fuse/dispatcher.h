// Gives each request of the kernel to its handler, negotiates at INIT, and passes INTERRUPT on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "fuse/call.h"
#include "fuse/options.h"

namespace cider::fuse {

// Thread-safe.
class Dispatcher final : public RequestHandler {
 public:
  // `on_init` is called when INIT has been answered, with the reason if the kernel is too old.
  Dispatcher(vfs::FileSystem& fs, const FuseOptions& options, InterruptTable& interrupts,
             std::function<void(const Status&)> on_init);

  void handle(Request& request, Reply reply) override;

 private:
  void init(Request& request, Reply reply);
  void run(Call& call);

  vfs::FileSystem& fs_;
  const FuseOptions options_;
  InterruptTable& interrupts_;
  const std::function<void(const Status&)> on_init_;
  std::atomic<bool> setxattr_extended_{false};
};

}  // namespace cider::fuse
