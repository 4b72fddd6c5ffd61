// Extended attributes: which names this mount serves, and ACLs, which are attributes of their own underneath.
#include "vfs/volume_file_system.h"

namespace cider::vfs {
namespace {

constexpr std::string_view kAccessAcl = "system.posix_acl_access";
constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

std::optional<meta::AclKind> acl_kind(std::string_view name) {
  if (name == kAccessAcl) return meta::AclKind::access;
  if (name == kDefaultAcl) return meta::AclKind::default_;
  return {};
}

}  // namespace

bool VolumeFileSystem::xattr_enabled(std::string_view name) const {
  if (acl_kind(name)) return meta_.volume()->enable_acl;
  if (name == "security.capability") return options_.enable_cap;
  if (name == "security.selinux") return options_.enable_selinux;
  return options_.enable_xattr;
}

Status VolumeFileSystem::check_xattr(Ino ino, std::string_view name) const {
  if (name.empty() || name.size() > meta::kMaxXattrName) return fail(ERANGE);
  if (!xattr_enabled(name)) return fail(ENOTSUP);
  return is_internal(ino) ? Status(fail(EPERM)) : Status{};
}

Result<std::string> VolumeFileSystem::getxattr(const Caller& caller, Ino ino, std::string_view name) {
  if (is_internal(ino)) return fail(ENODATA);
  TRY(check_xattr(ino, name));
  if (const auto kind = acl_kind(name)) return meta::acl_to_xattr(TRY(meta_.get_acl(inner(ino), *kind)));
  return meta_.getxattr(caller, inner(ino), name);
}

Result<std::vector<std::string>> VolumeFileSystem::listxattr(const Caller& caller, Ino ino) {
  if (is_internal(ino)) return std::vector<std::string>{};
  std::vector<std::string> names = TRY(meta_.listxattr(caller, inner(ino)));
  std::erase_if(names, [&](const std::string& name) { return acl_kind(name) || !xattr_enabled(name); });
  if (meta_.volume()->enable_acl) {
    const Attr attr = TRY(meta_.getattr(inner(ino), caller.interrupt));
    if (attr.access_acl != 0) names.emplace_back(kAccessAcl);
    if (attr.default_acl != 0) names.emplace_back(kDefaultAcl);
  }
  return names;
}

Status VolumeFileSystem::setxattr(const Caller& caller, Ino ino, std::string_view name,
                                  std::string_view value, XattrFlags flags) {
  TRY(check_xattr(ino, name));
  if (value.size() > meta::kMaxXattrValue) return fail(E2BIG);
  const Ino at = inner(ino);
  if (const auto kind = acl_kind(name)) {
    const meta::AclRule rule =
        value.empty() ? meta::AclRule{} : TRY(meta::acl_from_xattr(value));  // empty: remove
    TRY(meta_.set_acl(caller, at, *kind, rule, flags.kill_sgid));
  } else {
    const auto mode = flags.create    ? meta::XattrMode::create
                      : flags.replace ? meta::XattrMode::replace
                                      : meta::XattrMode::set;
    TRY(meta_.setxattr(caller, at, name, value, mode));
    if (const auto inode = handles_.inode(at)) inode->may_have_capability = true;
  }
  changes_.mark(at);
  return {};
}

Status VolumeFileSystem::removexattr(const Caller& caller, Ino ino, std::string_view name) {
  TRY(check_xattr(ino, name));
  const Ino at = inner(ino);
  if (const auto kind = acl_kind(name)) {
    TRY(meta_.set_acl(caller, at, *kind, {}, false));
  } else {
    TRY(meta_.removexattr(caller, at, name));
  }
  changes_.mark(at);
  return {};
}

}  // namespace cider::vfs
