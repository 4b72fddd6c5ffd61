// Requests that look at or change directory entries.
#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

vfs::EntryReply entry_of(const vfs::AttrReply& attr) {
  return {.ino = attr.ino, .attr = attr.attr, .entry_ttl = vfs::Duration{0}, .attr_ttl = attr.attr_ttl};
}

// EXPORT_SUPPORT: an NFS server finds an inode by number as "." of itself, and its parent as "..".
Result<vfs::EntryReply> lookup_export(Call& call, bool parent) {
  vfs::AttrReply self = TRY(call.fs.getattr(call.caller, call.ino(), std::nullopt));
  if (!parent || call.ino() == kRootIno) return entry_of(self);
  if (self.attr.parent == 0) return fail(ESTALE);
  return entry_of(TRY(call.fs.getattr(call.caller, self.attr.parent, std::nullopt)));
}

void rename(Call& call, Ino new_parent, uint32_t flags) {
  std::string_view name = call.args.name();
  std::string_view new_name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  if (flags & ~(vfs::kRenameNoReplace | vfs::kRenameExchange | vfs::kRenameWhiteout)) {
    call.reply.error(EINVAL);
    return;
  }
  call.answer(call.fs.rename(call.caller, call.ino(), name, new_parent, new_name, flags));
}

}  // namespace

void on_lookup(Call& call) {
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  if (name == "." || name == "..") return call.answer(lookup_export(call, name == ".."));
  call.answer(call.fs.lookup(call.caller, call.ino(), name));
}

void on_mknod(Call& call) {
  auto in = call.args.get<fuse_mknod_in>();
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.caller.umask = in.umask;
  call.answer(call.fs.mknod(call.caller, call.ino(), name, in.mode, in.rdev));
}

void on_mkdir(Call& call) {
  auto in = call.args.get<fuse_mkdir_in>();
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.caller.umask = in.umask;
  call.answer(call.fs.mkdir(call.caller, call.ino(), name, in.mode));
}

void on_symlink(Call& call) {
  std::string_view name = call.args.name();
  std::string_view target = call.args.text();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.symlink(call.caller, call.ino(), name, target));
}

void on_link(Call& call) {
  auto in = call.args.get<fuse_link_in>();
  std::string_view new_name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.link(call.caller, in.oldnodeid, call.ino(), new_name));
}

void on_unlink(Call& call) {
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.unlink(call.caller, call.ino(), name));
}

void on_rmdir(Call& call) {
  std::string_view name = call.args.name();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.rmdir(call.caller, call.ino(), name));
}

void on_rename(Call& call) {
  rename(call, call.args.get<fuse_rename_in>().newdir, 0);
}

void on_rename2(Call& call) {
  auto in = call.args.get<fuse_rename2_in>();
  rename(call, in.newdir, in.flags);
}

void on_readlink(Call& call) {
  Result<std::string> target = call.fs.readlink(call.caller, call.ino());
  if (!target) return call.answer_error(target);
  call.reply.bytes(*target);
}

}  // namespace cider::fuse
