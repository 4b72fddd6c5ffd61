// Requests about attributes, extended attributes and the file system's size.
#include <linux/xattr.h>

#include <string>

#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

std::optional<vfs::Handle> handle_if(bool set, uint64_t handle) {
  return set ? std::optional<vfs::Handle>(handle) : std::nullopt;
}

Time time_of(uint64_t seconds, uint32_t nanos) {
  return {.sec = static_cast<int64_t>(seconds), .nsec = nanos};
}

vfs::SetAttr decode_setattr(const fuse_setattr_in& in) {
  vfs::SetAttr set;
  if (in.valid & FATTR_MODE) set.mode = static_cast<uint16_t>(in.mode & 07777);
  if (in.valid & FATTR_UID) set.uid = in.uid;
  if (in.valid & FATTR_GID) set.gid = in.gid;
  if (in.valid & FATTR_SIZE) set.size = in.size;
  set.atime_now = in.valid & FATTR_ATIME_NOW;
  set.mtime_now = in.valid & FATTR_MTIME_NOW;
  if (in.valid & FATTR_ATIME && !set.atime_now) set.atime = time_of(in.atime, in.atimensec);
  if (in.valid & FATTR_MTIME && !set.mtime_now) set.mtime = time_of(in.mtime, in.mtimensec);
  if (in.valid & FATTR_CTIME) set.ctime = time_of(in.ctime, in.ctimensec);
  set.kill_suidgid = in.valid & FATTR_KILL_SUIDGID;
  return set;
}

bool valid_times(const vfs::SetAttr& set) {
  for (const auto& time : {set.atime, set.mtime, set.ctime}) {
    if (time && time->nsec >= 1'000'000'000) return false;
  }
  return true;
}

// The value, or how large it is when the caller asks with size 0.
void answer_sized(Call& call, uint32_t size, std::string_view value) {
  if (size == 0) {
    call.reply.value(fuse_getxattr_out{.size = static_cast<uint32_t>(value.size()), .padding = 0});
  } else if (value.size() > size) {
    call.reply.error(ERANGE);
  } else {
    call.reply.bytes(value);
  }
}

}  // namespace

void on_getattr(Call& call) {
  auto in = call.args.get<fuse_getattr_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.getattr(call.caller, call.ino(), handle_if(in.getattr_flags & FUSE_GETATTR_FH, in.fh)));
}

void on_statx(Call& call) {
  auto in = call.args.get<StatxIn>();
  if (!call.args.ok()) return call.malformed();
  auto attr = call.fs.getattr(call.caller, call.ino(), handle_if(in.getattr_flags & FUSE_GETATTR_FH, in.fh));
  if (!attr) return call.answer_error(attr);
  call.reply.value(encode_statx(*attr));
}

void on_setattr(Call& call) {
  auto in = call.args.get<fuse_setattr_in>();
  if (!call.args.ok()) return call.malformed();
  vfs::SetAttr set = decode_setattr(in);
  if (!valid_times(set)) {
    call.reply.error(EINVAL);
    return;
  }
  call.answer(call.fs.setattr(call.caller, call.ino(), set, handle_if(in.valid & FATTR_FH, in.fh)));
}

void on_access(Call& call) {
  auto in = call.args.get<fuse_access_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.access(call.caller, call.ino(), static_cast<int>(in.mask)));
}

void on_statfs(Call& call) {
  Result<vfs::StatFs> stat = call.fs.statfs(call.caller, call.ino());
  if (!stat) return call.answer_error(stat);
  call.reply.value(encode_statfs(*stat));
}

void on_setxattr(Call& call, bool extended) {
  fuse_setxattr_in in{};
  if (extended) {
    in = call.args.get<fuse_setxattr_in>();
  } else {
    in.size = call.args.get<uint32_t>();
    in.flags = call.args.get<uint32_t>();
  }
  std::string_view name = call.args.text();
  std::string_view value = call.args.take(in.size);
  if (!call.args.ok() || name.empty()) return call.malformed();
  if (in.flags & ~uint32_t{XATTR_CREATE | XATTR_REPLACE}) {
    call.reply.error(EINVAL);
    return;
  }
  vfs::XattrFlags flags{.create = (in.flags & XATTR_CREATE) != 0,
                        .replace = (in.flags & XATTR_REPLACE) != 0,
                        .kill_sgid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0};
  call.answer(call.fs.setxattr(call.caller, call.ino(), name, value, flags));
}

void on_getxattr(Call& call) {
  auto in = call.args.get<fuse_getxattr_in>();
  std::string_view name = call.args.text();
  if (!call.args.ok() || name.empty()) return call.malformed();
  Result<std::string> value = call.fs.getxattr(call.caller, call.ino(), name);
  if (!value) return call.answer_error(value);
  answer_sized(call, in.size, *value);
}

void on_listxattr(Call& call) {
  auto in = call.args.get<fuse_getxattr_in>();
  if (!call.args.ok()) return call.malformed();
  Result<std::vector<std::string>> names = call.fs.listxattr(call.caller, call.ino());
  if (!names) return call.answer_error(names);
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  answer_sized(call, in.size, list);
}

void on_removexattr(Call& call) {
  std::string_view name = call.args.text();
  if (!call.args.ok() || name.empty()) return call.malformed();
  call.answer(call.fs.removexattr(call.caller, call.ino(), name));
}

}  // namespace cider::fuse
