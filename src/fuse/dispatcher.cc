#include "fuse/dispatcher.h"

#include <string>

#include "base/log.h"
#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

// Of what the kernel offers we take these. Not ASYNC_DIO: it makes O_DIRECT reads wait without INTERRUPT, so
// that not even SIGKILL would end them.
uint32_t wanted_flags(const FuseOptions& options) {
  // Not ATOMIC_O_TRUNC: it saves a request, but the kernel then has the file truncated before it finds that
  // it is being executed.
  uint32_t flags = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_EXPORT_SUPPORT |
                   FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS |
                   FUSE_READDIRPLUS_AUTO | FUSE_CACHE_SYMLINKS | FUSE_HAS_IOCTL_DIR |
                   FUSE_DONT_MASK |           // the umask comes along; a default ACL replaces it
                   FUSE_HANDLE_KILLPRIV_V2 |  // else each write asks for security.capability first
                   FUSE_SETXATTR_EXT;
  flags |= options.explicit_inval ? FUSE_EXPLICIT_INVAL_DATA : FUSE_AUTO_INVAL_DATA;
  if (options.writeback_cache) flags |= FUSE_WRITEBACK_CACHE;
  if (options.acl) flags |= FUSE_POSIX_ACL;
  return flags;
}

bool answers_later(uint32_t opcode) {
  return opcode == FUSE_WRITE || opcode == FUSE_SETLK || opcode == FUSE_SETLKW;
}

}  // namespace

Dispatcher::Dispatcher(vfs::FileSystem& fs, const FuseOptions& options, InterruptTable& interrupts,
                       std::function<void(const Status&)> on_init)
    : fs_(fs), options_(options), interrupts_(interrupts), on_init_(std::move(on_init)) {}

void Dispatcher::handle(Request& request, Reply reply) {
  switch (request.header().opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_NOTIFY_REPLY:
      return reply.none();
    case FUSE_INTERRUPT: {
      reply.none();
      ArgReader args(request.body());
      auto in = args.get<fuse_interrupt_in>();
      if (args.ok()) interrupts_.interrupt(in.unique);
      return;
    }
    case FUSE_INIT:
      return init(request, std::move(reply));
    case FUSE_DESTROY:
      reply.ok();
      return;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: {
      // Nobody waits for these, so nobody interrupts them.
      Call call(fs_, request, reply, {});
      return run(call);
    }
    default:
      break;
  }
  if (answers_later(request.header().opcode)) {
    auto pending = std::make_unique<Pending>(std::move(reply), interrupts_, request.header());
    Call call(fs_, request, pending->reply, pending->interrupts.token());
    return request.header().opcode == FUSE_WRITE ? on_write(call, std::move(pending))
                                                 : on_setlk(call, std::move(pending));
  }
  Pending pending(std::move(reply), interrupts_, request.header());
  Call call(fs_, request, pending.reply, pending.interrupts.token());
  run(call);
}

void Dispatcher::run(Call& call) {
  switch (call.request.header().opcode) {
    case FUSE_LOOKUP:
      return on_lookup(call);
    case FUSE_GETATTR:
      return on_getattr(call);
    case FUSE_SETATTR:
      return on_setattr(call);
    case FUSE_READLINK:
      return on_readlink(call);
    case FUSE_SYMLINK:
      return on_symlink(call);
    case FUSE_MKNOD:
      return on_mknod(call);
    case FUSE_MKDIR:
      return on_mkdir(call);
    case FUSE_UNLINK:
      return on_unlink(call);
    case FUSE_RMDIR:
      return on_rmdir(call);
    case FUSE_RENAME:
      return on_rename(call);
    case FUSE_RENAME2:
      return on_rename2(call);
    case FUSE_LINK:
      return on_link(call);
    case FUSE_OPEN:
      return on_open(call);
    case FUSE_READ:
      return on_read(call);
    case FUSE_STATFS:
      return on_statfs(call);
    case FUSE_RELEASE:
      return on_release(call);
    case FUSE_FSYNC:
      return on_fsync(call);
    case FUSE_FLUSH:
      return on_flush(call);
    case FUSE_OPENDIR:
      return on_opendir(call);
    case FUSE_READDIR:
      return on_readdir(call);
    case FUSE_READDIRPLUS:
      return on_readdirplus(call);
    case FUSE_RELEASEDIR:
      return on_releasedir(call);
    case FUSE_FSYNCDIR:
      return on_fsyncdir(call);
    case FUSE_GETLK:
      return on_getlk(call);
    case FUSE_ACCESS:
      return on_access(call);
    case FUSE_CREATE:
      return on_create(call);
    case FUSE_TMPFILE:
      return on_tmpfile(call);
    case FUSE_IOCTL:
      return on_ioctl(call);
    case FUSE_FALLOCATE:
      return on_fallocate(call);
    case FUSE_LSEEK:
      return on_lseek(call);
    case FUSE_COPY_FILE_RANGE:
      return on_copy_file_range(call);
    case kOpCopyFileRange64:
      return on_copy_file_range_64(call);
    case kOpStatx:
      return on_statx(call);
    default:
      break;
  }
  if (options_.xattr) {
    switch (call.request.header().opcode) {
      case FUSE_SETXATTR:
        return on_setxattr(call, setxattr_extended_);
      case FUSE_GETXATTR:
        return on_getxattr(call);
      case FUSE_LISTXATTR:
        return on_listxattr(call);
      case FUSE_REMOVEXATTR:
        return on_removexattr(call);
      default:
        break;
    }
  }
  // The kernel remembers, does without (POLL, BMAP) or answers for itself, and does not ask again. SYNCFS it
  // sends to virtiofs and fuseblk mounts only, so syncfs(2) and sync(1) can't reach what is buffered here.
  call.reply.error(ENOSYS);
}

void Dispatcher::init(Request& request, Reply reply) {
  ArgReader args(request.body());
  fuse_init_in in{};
  in.major = args.get<uint32_t>();
  in.minor = args.get<uint32_t>();
  in.max_readahead = args.get<uint32_t>();
  in.flags = args.get<uint32_t>();
  if (in.flags & FUSE_INIT_EXT) in.flags2 = args.get<uint32_t>();
  fuse_init_out out{};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = kOurMinor;
  if (args.ok() && in.major > FUSE_KERNEL_VERSION) {
    reply.value(out);  // the kernel comes again with our major version
    return;
  }
  if (!args.ok() || in.major < FUSE_KERNEL_VERSION || in.minor < kMinimalMinor) {
    reply.error(EPROTO);
    on_init_(fail(EPROTO, "this kernel's FUSE protocol is " + std::to_string(in.major) + "." +
                              std::to_string(in.minor) + "; CiderFS needs 7." +
                              std::to_string(kMinimalMinor) + " (Linux 5.4) or later"));
    return;
  }
  out.max_readahead = in.max_readahead;
  out.flags = in.flags & wanted_flags(options_);
  if (options_.io_uring) {
    if (!(in.flags2 & kInitOverIoUring)) {
      reply.error(EPROTO);
      on_init_(fail(ENOTSUP,
                    "the kernel offers no requests over io_uring: it has to be Linux 6.14 or later, and "
                    "/sys/module/fuse/parameters/enable_uring has to be Y"));
      return;
    }
    out.flags |= FUSE_INIT_EXT;
    out.flags2 = kInitOverIoUring;
  }
  out.max_background = options_.max_background;
  out.congestion_threshold = options_.congestion_threshold;
  out.max_write = options_.max_write;
  out.max_pages = static_cast<uint16_t>(options_.max_write / 4096);
  out.time_gran = 1;
  setxattr_extended_ = out.flags & FUSE_SETXATTR_EXT;
  log::debug("fuse: kernel protocol 7." + std::to_string(in.minor) + ", flags " + std::to_string(out.flags));
  reply.value(out);
  on_init_({});
}

}  // namespace cider::fuse
