// Requests about open files and their data.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <string>

#include "base/log.h"
#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

// If the kernel did not take the answer it will never send RELEASE.
void answer_created(Call& call, const Result<vfs::CreateReply>& created) {
  if (!created) return call.answer_error(created);
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out{encode_entry(created->entry), encode_open(created->open)};
  if (!call.reply.value(out)) {
    call.fs.release(call.caller, created->entry.ino, created->open.handle, std::nullopt);
  }
}

Result<uint64_t> copy_range(Call& call, uint64_t most) {
  auto in = call.args.get<fuse_copy_file_range_in>();
  if (!call.args.ok()) return fail(EIO);
  if (in.flags != 0) return fail(EINVAL);
  return call.fs.copy_file_range(call.caller, call.ino(), in.fh_in, in.off_in, in.nodeid_out, in.fh_out,
                                 in.off_out, std::min(in.len, most));
}

}  // namespace

void on_open(Call& call) {
  auto in = call.args.get<fuse_open_in>();
  if (!call.args.ok()) return call.malformed();
  Result<vfs::OpenReply> open = call.fs.open(call.caller, call.ino(), static_cast<int>(in.flags),
                                             in.open_flags & FUSE_OPEN_KILL_SUIDGID);
  if (!open) return call.answer_error(open);
  if (open->stale_attr) call.reply.forget_attributes(call.ino());
  if (!call.reply.value(encode_open(*open)))
    call.fs.release(call.caller, call.ino(), open->handle, std::nullopt);
}

void on_create(Call& call) {
  auto in = call.args.get<fuse_create_in>();
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.caller.umask = in.umask;
  answer_created(call, call.fs.create(call.caller, call.ino(), name, in.mode, static_cast<int>(in.flags)));
}

void on_tmpfile(Call& call) {
  auto in = call.args.get<fuse_create_in>();  // a name follows, "/" without meaning
  if (!call.args.ok()) return call.malformed();
  call.caller.umask = in.umask;
  answer_created(call, call.fs.tmpfile(call.caller, call.ino(), in.mode, static_cast<int>(in.flags)));
}

void on_read(Call& call) {
  auto in = call.args.get<fuse_read_in>();
  if (!call.args.ok()) return call.malformed();
  Result<BufferChain> data = call.fs.read(call.caller, call.ino(), in.fh, in.offset, in.size);
  if (!data) return call.answer_error(data);
  if (total_size(*data) > in.size) {
    log::error("fuse: a read of inode " + std::to_string(call.ino()) + " gave more than was asked for");
    call.reply.error(EIO);
    return;
  }
  call.reply.chain(*data);
}

void on_write(Call& call, std::unique_ptr<Pending> pending) {
  auto in = call.args.get<fuse_write_in>();
  std::string_view data = call.args.take(in.size);
  if (!call.args.ok()) return call.malformed();
  auto done = [pending = std::move(pending)](Result<uint32_t> written) {
    if (!written) {
      pending->reply.error(written.error().code);
    } else {
      pending->reply.value(fuse_write_out{.size = *written, .padding = 0});
    }
  };
  call.fs.write(call.caller, call.ino(), in.fh, in.offset, call.request.keep(data),
                in.write_flags & FUSE_WRITE_KILL_SUIDGID, std::move(done));
}

void on_flush(Call& call) {
  auto in = call.args.get<fuse_flush_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.flush(call.caller, call.ino(), in.fh, in.lock_owner));
}

void on_fsync(Call& call) {
  auto in = call.args.get<fuse_fsync_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.fsync(call.caller, call.ino(), in.fh, in.fsync_flags & FUSE_FSYNC_FDATASYNC));
}

void on_release(Call& call) {
  auto in = call.args.get<fuse_release_in>();
  if (!call.args.ok()) return call.malformed();
  std::optional<uint64_t> flock_owner;
  if (in.release_flags & FUSE_RELEASE_FLOCK_UNLOCK) flock_owner = in.lock_owner;
  call.fs.release(call.caller, call.ino(), in.fh, flock_owner);
  call.reply.ok();
}

void on_fallocate(Call& call) {
  auto in = call.args.get<fuse_fallocate_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(
      call.fs.fallocate(call.caller, call.ino(), in.fh, static_cast<int>(in.mode), in.offset, in.length));
}

void on_lseek(Call& call) {
  auto in = call.args.get<fuse_lseek_in>();
  if (!call.args.ok()) return call.malformed();
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) {
    call.reply.error(EINVAL);
    return;
  }
  Result<uint64_t> offset =
      call.fs.lseek(call.caller, call.ino(), in.fh, in.offset, static_cast<int>(in.whence));
  if (!offset) return call.answer_error(offset);
  call.reply.value(fuse_lseek_out{.offset = *offset});
}

void on_copy_file_range(Call& call) {
  // The answer has 32 bits; whole pages, so that the caller goes on aligned.
  Result<uint64_t> copied = copy_range(call, UINT32_MAX & ~4095U);
  if (!copied) return call.answer_error(copied);
  call.reply.value(fuse_write_out{.size = static_cast<uint32_t>(*copied), .padding = 0});
}

void on_copy_file_range_64(Call& call) {
  Result<uint64_t> copied = copy_range(call, INT64_MAX);
  if (!copied) return call.answer_error(copied);
  call.reply.value(CopyFileRangeOut{.bytes_copied = *copied});
}

void on_ioctl(Call& call) {
  auto in = call.args.get<fuse_ioctl_in>();
  std::string_view argument = call.args.take(in.in_size);
  if (!call.args.ok()) return call.malformed();
  Result<std::string> result = call.fs.ioctl(call.caller, call.ino(), in.fh, in.cmd, argument, in.out_size);
  if (!result) return call.answer_error(result);
  if (result->size() > in.out_size) {
    call.reply.error(EIO);
    return;
  }
  fuse_ioctl_out out{};
  iovec pieces[] = {{&out, sizeof out}, {result->data(), result->size()}};
  call.reply.gather(pieces);
}

}  // namespace cider::fuse
