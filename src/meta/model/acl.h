// POSIX ACL rules: interned by id in the engine, and the kernel's xattr form (system.posix_acl_*).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cider::meta {

inline constexpr uint16_t kAclUnset = 0xFFFF;

struct AclEntry {
  uint32_t id = 0;
  uint16_t perm = 0;
  auto operator<=>(const AclEntry&) const = default;
};

// Permissions are rwx bits (0 to 7), or kAclUnset.
struct AclRule {
  uint16_t owner = kAclUnset;
  uint16_t group = kAclUnset;
  uint16_t mask = kAclUnset;
  uint16_t other = kAclUnset;
  std::vector<AclEntry> users;  // as given by the caller; the order is kept
  std::vector<AclEntry> groups;
  auto operator<=>(const AclRule&) const = default;

  bool empty() const;     // nothing set at all
  bool minimal() const;   // no named entry and no mask: folds into the mode
  uint16_t mode() const;  // rwxrwxrwx: owner, mask (or group without one), other
};

// mode() and the three functions below take an unset permission as none (rules in the engine have their base
// entries set).

// The access rule of a child made with `mode` (umask not applied) below a directory with this default rule.
AclRule child_access_rule(const AclRule& default_rule, uint16_t mode);
// `rule` after chmod to `mode`: owner, mask (or group without one) and other follow the mode.
void apply_mode(AclRule* rule, uint16_t mode);
// Whether a caller may: POSIX.1e's algorithm. `want` is rwx bits.
bool acl_permits(const AclRule& rule, uint32_t file_uid, uint32_t file_gid, uint32_t uid, uint32_t gid,
                 const std::vector<uint32_t>& groups, uint16_t want);

// Format: JuiceFS 1.4 pkg/acl Rule.Encode: owner, group, mask, other u16; count u32 and {id u32, perm u16}
// for users, then groups.
std::string encode_acl(const AclRule& rule);
// EIO if the length doesn't fit the counts.
Result<AclRule> decode_acl(std::string_view record);
// SQL columns named_users / named_groups: the 6-byte items without a count.
std::string encode_acl_entries(const std::vector<AclEntry>& entries);
Result<std::vector<AclEntry>> decode_acl_entries(std::string_view items);

// Linux's xattr value: version 2 u32, then {tag u16, perm u16, id u32}, little-endian, ordered as the kernel
// demands.
std::string acl_to_xattr(const AclRule& rule);
// EINVAL for a wrong tag, permission, order or length, and for a missing base entry or mask; EOPNOTSUPP for
// another version. A value without entries is the empty rule: it takes the ACL away.
Result<AclRule> acl_from_xattr(std::string_view value);

}  // namespace cider::meta
