#include "fuse/session.h"

#include <unistd.h>

#include <chrono>
#include <string>

#include "base/log.h"

namespace cider::fuse {
namespace {

constexpr auto kInitTimeout = std::chrono::seconds(30);

DevTransportOptions transport_options(const SessionOptions& options) {
  DevTransportOptions transport = options.transport;
  transport.max_write = options.fuse.max_write;
  return transport;
}

}  // namespace

Session::Session(vfs::FileSystem& fs, const SessionOptions& options, UniqueFd device)
    : options_(options),
      transport_(std::move(device), transport_options(options)),
      notifier_(std::make_shared<Notifier>(transport_, interrupts_)),
      dispatcher_(fs, options.fuse, interrupts_, [this](const Status& status) { init_.set_value(status); }) {
  fs.set_notifier(
      [notifier = notifier_](vfs::FileSystem::Invalidation change) { notifier->push(std::move(change)); });
}

Result<std::unique_ptr<Session>> Session::start(vfs::FileSystem& fs, const SessionOptions& options) {
  if (options.fuse.io_uring) TRY(RingWorkers::probe(options.fuse.max_write));
  UniqueFd device = TRY(mount(options.mount));
  std::unique_ptr<Session> session(new Session(fs, options, std::move(device)));
  TRY(session->serve());
  return session;
}

Status Session::serve() {
  std::future<Status> init = init_.get_future();
  if (Status started = transport_.start(dispatcher_); !started) {
    if (transport_.thread_count() == 0) waited_ = true;
    (void)request_unmount(true);
    return started;
  }
  if (init.wait_for(kInitTimeout) != std::future_status::ready)
    return fail(ETIMEDOUT, "the kernel did not begin the mount");
  TRY(init.get());
  if (options_.fuse.io_uring) TRY(start_rings());
  // INIT can't raise it above 128 KiB; users that are not root have to live with that.
  if (options_.fuse.read_ahead_kb && ::geteuid() == 0) {
    Status set = set_read_ahead(options_.mount.mountpoint, options_.fuse.read_ahead_kb);
    if (!set) log::warning("fuse: can't raise the read-ahead: " + set.error().to_string());
  }
  return {};
}

Status Session::start_rings() {
  const RingWorkerOptions worker{.device = transport_.device(),
                                 .max_write = options_.fuse.max_write,
                                 .budget = options_.transport.budget,
                                 .notifications = &transport_};
  rings_ = std::make_unique<RingWorkers>(options_.rings, worker, options_.mount.mountpoint, interrupts_);
  Status started = rings_->start(dispatcher_);
  // The kernel waits for them, and whoever uses the mount with it.
  if (!started) abort_connection(options_.mount.mountpoint);
  return started;
}

Session::~Session() {
  if (waited_) return;
  if (Status unmounted = request_unmount(true); !unmounted)
    log::warning("fuse: " + unmounted.error().to_string());
  wait();
}

void Session::wait() {
  transport_.wait_closed();
  interrupts_.close();  // nobody is left who waits for an answer
  interrupts_.drain();
  transport_.join();
  if (rings_) rings_->join();
  interrupts_.drain();  // what the last receivers had just taken
  notifier_->stop();
  waited_ = true;
}

Status Session::request_unmount(bool lazy) {
  // Once it is gone, what is mounted there belongs to somebody else.
  if (transport_.closed()) return {};
  return unmount(options_.mount.mountpoint, lazy);
}

}  // namespace cider::fuse
