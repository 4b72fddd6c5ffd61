// Extended attributes. JuiceFS watches the xattr record only; we change the inode's ctime in the same commit,
// so both are touched.
//
// Reads:  the inode (that it exists, flags, owner), the attribute. One flight, or none with hints.
// Writes: the attribute, ctime. One commit.
#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kInodeFields =
    field::flags | field::uid | field::type | field::mode | field::gid | field::acl;

Status check_xattr_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxXattrName) return fail(ERANGE);
  return {};
}

void touch_ctime(Transaction& tx, const OpEnv& env, Ino ino) {
  PatchNode patch{ino};
  patch.touch_ctime = env.now;
  tx.write(std::move(patch));
}

// A name with characters that the engine's table can't hold is nobody's.
Status or_absent(Status done) {
  return code_of(done) == EILSEQ ? Status(fail(ENODATA)) : done;
}

}  // namespace

Result<std::string> Meta::getxattr(const Caller& caller, Ino ino, std::string_view name) {
  const OpTimer<"GetXattr"> timer;
  TRY(check_xattr_name(name));
  std::string value;
  TRY(or_absent(store_->read(
      [&](Transaction& tx) -> Status {
        auto& xattr = tx.ask(XattrRead{ino, std::string(name), {}});
        TRY(tx.fetch());
        if (!xattr.value) return fail(ENODATA);
        value = *xattr.value;
        return {};
      },
      caller.interrupt)));
  return value;
}

Result<std::vector<std::string>> Meta::listxattr(const Caller& caller, Ino ino) {
  const OpTimer<"ListXattr"> timer;
  std::vector<std::string> names;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& xattrs = tx.ask(XattrNamesRead{ino, {}});
        TRY(tx.fetch());
        names = xattrs.names;
        return {};
      },
      caller.interrupt));
  return names;
}

Status Meta::setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value,
                      XattrMode mode) {
  const OpTimer<"SetXattr"> timer;
  TRY(check_writable());
  TRY(check_xattr_name(name));
  if (value.size() > kMaxXattrValue) return fail(E2BIG);
  return run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
    auto& inode = tx.attr(ino, kInodeFields);
    auto& present = tx.ask(XattrRead{ino, std::string(name), {}});
    TRY(tx.fetch());
    if (!inode.value) return fail(ENOENT);
    TRY(check_changeable(*inode.value));
    TRY(check_access(env, *inode.value, kWrite));
    if (mode == XattrMode::create && present.value) return fail(EEXIST);
    if (mode == XattrMode::replace && !present.value) return fail(ENODATA);
    tx.write(SetXattr{ino, std::string(name), std::string(value)});
    touch_ctime(tx, env, ino);
    return {};
  });
}

Status Meta::removexattr(const Caller& caller, Ino ino, std::string_view name) {
  const OpTimer<"RemoveXattr"> timer;
  TRY(check_writable());
  TRY(check_xattr_name(name));
  return or_absent(run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
    auto& inode = tx.attr(ino, kInodeFields);
    auto& present = tx.ask(XattrRead{ino, std::string(name), {}});
    TRY(tx.fetch());
    if (!inode.value) return fail(ENOENT);
    TRY(check_changeable(*inode.value));
    TRY(check_access(env, *inode.value, kWrite));
    if (!present.value) return fail(ENODATA);
    tx.write(RemoveXattr{ino, std::string(name)});
    touch_ctime(tx, env, ino);
    return {};
  }));
}

Status Meta::remove_capability(Ino ino) {
  Status present = [&]() -> Status {
    TRY(getxattr(Caller{}, ino, kCapability));
    return removexattr(Caller{}, ino, kCapability);
  }();
  return !present && present.error().code == ENODATA ? Status{} : present;
}

}  // namespace cider::meta
