#include "meta/model/acl.h"

#include <algorithm>

#include "base/bytes.h"

namespace cider::meta {
namespace {

constexpr size_t kEntrySize = 6;
constexpr size_t kXattrEntrySize = 8;
constexpr uint32_t kXattrVersion = 2;
constexpr uint32_t kNoId = 0xFFFFFFFF;
constexpr uint16_t kPermBits = 7;

// Tags of the xattr form, linux/posix_acl.h.
enum Tag : uint16_t { user_obj = 1, user = 2, group_obj = 4, group = 8, mask_obj = 0x10, other_obj = 0x20 };

uint16_t bits(uint16_t perm) {
  return perm == kAclUnset ? 0 : perm & kPermBits;
}

void put_entries(ByteWriter& out, const std::vector<AclEntry>& entries) {
  for (const AclEntry& entry : entries) out.u32(entry.id).u16(entry.perm);
}

std::vector<AclEntry> get_entries(ByteReader& in, size_t count) {
  std::vector<AclEntry> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; i++) {
    AclEntry entry;
    entry.id = in.u32();
    entry.perm = in.u16();
    entries.push_back(entry);
  }
  return entries;
}

bool get_counted_entries(ByteReader& in, std::vector<AclEntry>* entries) {
  const uint32_t count = in.u32();
  if (!in.ok() || count > in.remaining() / kEntrySize) return false;
  *entries = get_entries(in, count);
  return true;
}

// Takes the entries of an xattr in the kernel's order: owner, users, group, groups, mask, other.
class XattrEntries {
 public:
  bool add(uint16_t tag, uint16_t perm, uint32_t id) {
    if ((perm & ~kPermBits) != 0 || tag < last_tag_) return false;
    const bool named = tag == Tag::user || tag == Tag::group;
    if (tag == last_tag_ && !named) return false;
    if (named && id == kNoId) return false;
    last_tag_ = tag;
    switch (tag) {
      case Tag::user_obj:
        rule_.owner = perm;
        return true;
      case Tag::user:
        rule_.users.push_back({id, perm});
        return true;
      case Tag::group_obj:
        rule_.group = perm;
        return true;
      case Tag::group:
        rule_.groups.push_back({id, perm});
        return true;
      case Tag::mask_obj:
        rule_.mask = perm;
        return true;
      case Tag::other_obj:
        rule_.other = perm;
        return true;
      default:
        return false;
    }
  }

  // The three base entries must be there, and a mask wherever there are named entries.
  bool complete() const {
    if (rule_.owner == kAclUnset || rule_.group == kAclUnset || rule_.other == kAclUnset) return false;
    return rule_.mask != kAclUnset || rule_.minimal();
  }
  AclRule take() { return std::move(rule_); }

 private:
  AclRule rule_;
  uint16_t last_tag_ = 0;
};

}  // namespace

bool AclRule::empty() const {
  return users.empty() && groups.empty() && owner == kAclUnset && group == kAclUnset && mask == kAclUnset &&
         other == kAclUnset;
}

bool AclRule::minimal() const {
  return users.empty() && groups.empty() && mask == kAclUnset;
}

uint16_t AclRule::mode() const {
  const uint16_t middle = minimal() ? group : mask;
  return static_cast<uint16_t>(bits(owner) << 6 | bits(middle) << 3 | bits(other));
}

AclRule child_access_rule(const AclRule& default_rule, uint16_t mode) {
  AclRule child = default_rule;
  child.owner = bits(default_rule.owner) & (mode >> 6);
  uint16_t& middle = default_rule.minimal() ? child.group : child.mask;
  middle = bits(middle) & (mode >> 3);
  child.other = bits(default_rule.other) & mode;
  return child;
}

void apply_mode(AclRule* rule, uint16_t mode) {
  uint16_t& middle = rule->minimal() ? rule->group : rule->mask;
  rule->owner = mode >> 6 & kPermBits;
  middle = mode >> 3 & kPermBits;
  rule->other = mode & kPermBits;
}

bool acl_permits(const AclRule& rule, uint32_t file_uid, uint32_t file_gid, uint32_t uid, uint32_t gid,
                 const std::vector<uint32_t>& groups, uint16_t want) {
  auto grants = [&](uint16_t perm) { return (perm & want) == want; };
  const uint16_t mask = rule.mask == kAclUnset ? kPermBits : bits(rule.mask);
  if (uid == file_uid) return grants(bits(rule.owner));
  for (const AclEntry& named : rule.users) {
    if (named.id == uid) return grants(bits(named.perm) & mask);
  }

  // One matching group that grants all of `want` is enough; several that grant it together are not.
  auto is_member = [&](uint32_t id) { return id == gid || std::ranges::find(groups, id) != groups.end(); };
  bool matched = false;
  if (is_member(file_gid)) {
    if (grants(bits(rule.group) & mask)) return true;
    matched = true;
  }
  for (const AclEntry& named : rule.groups) {
    if (!is_member(named.id)) continue;
    if (grants(bits(named.perm) & mask)) return true;
    matched = true;
  }
  return !matched && grants(bits(rule.other));
}

std::string encode_acl(const AclRule& rule) {
  ByteWriter out;
  out.u16(rule.owner).u16(rule.group).u16(rule.mask).u16(rule.other);
  out.u32(static_cast<uint32_t>(rule.users.size()));
  put_entries(out, rule.users);
  out.u32(static_cast<uint32_t>(rule.groups.size()));
  put_entries(out, rule.groups);
  return out.take();
}

Result<AclRule> decode_acl(std::string_view record) {
  ByteReader in(record);
  AclRule rule;
  rule.owner = in.u16();
  rule.group = in.u16();
  rule.mask = in.u16();
  rule.other = in.u16();
  if (!get_counted_entries(in, &rule.users) || !get_counted_entries(in, &rule.groups) ||
      in.remaining() != 0) {
    return fail(EIO, "ACL rule of " + std::to_string(record.size()) + " bytes doesn't fit its counts");
  }
  return rule;
}

std::string encode_acl_entries(const std::vector<AclEntry>& entries) {
  ByteWriter out;
  put_entries(out, entries);
  return out.take();
}

Result<std::vector<AclEntry>> decode_acl_entries(std::string_view items) {
  if (items.size() % kEntrySize != 0) {
    return fail(EIO, "ACL entries of " + std::to_string(items.size()) + " bytes are no multiple of 6");
  }
  ByteReader in(items);
  return get_entries(in, items.size() / kEntrySize);
}

std::string acl_to_xattr(const AclRule& rule) {
  ByteWriter out(std::endian::little);
  auto put = [&](Tag tag, uint16_t perm, uint32_t id) { out.u16(tag).u16(perm).u32(id); };
  out.u32(kXattrVersion);
  put(Tag::user_obj, rule.owner, kNoId);
  for (const AclEntry& named : rule.users) put(Tag::user, named.perm, named.id);
  put(Tag::group_obj, rule.group, kNoId);
  for (const AclEntry& named : rule.groups) put(Tag::group, named.perm, named.id);
  if (rule.mask != kAclUnset) put(Tag::mask_obj, rule.mask, kNoId);
  put(Tag::other_obj, rule.other, kNoId);
  return out.take();
}

Result<AclRule> acl_from_xattr(std::string_view value) {
  ByteReader in(value, std::endian::little);
  const uint32_t version = in.u32();
  if (!in.ok() || in.remaining() % kXattrEntrySize != 0) {
    return fail(EINVAL, "ACL of " + std::to_string(value.size()) + " bytes is cut");
  }
  if (version != kXattrVersion) return fail(EOPNOTSUPP, "ACL of version " + std::to_string(version));
  if (in.remaining() == 0) return AclRule{};
  XattrEntries entries;
  while (in.remaining() > 0) {
    const uint16_t tag = in.u16();
    const uint16_t perm = in.u16();
    const uint32_t id = in.u32();
    if (!entries.add(tag, perm, id)) {
      return fail(EINVAL, "ACL entry with tag " + std::to_string(tag) + " is not valid or not in order");
    }
  }
  if (!entries.complete()) return fail(EINVAL, "ACL lacks a base entry or its mask");
  return entries.take();
}

}  // namespace cider::meta
