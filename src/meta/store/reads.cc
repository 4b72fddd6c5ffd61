#include "meta/store/reads.h"

#include <type_traits>

namespace cider::meta {
namespace {

bool same_attr(const std::optional<Attr>& a, const std::optional<Attr>& b, Fields fields) {
  if (a.has_value() != b.has_value()) return false;
  return !a || same_fields(*a, *b, fields);
}

// One overload per item; asked with two answers to the same question.
bool holds(const AttrRead& seen, const AttrRead& now) {
  return same_attr(seen.value, now.value, seen.depends);
}
bool holds(const EntryRead& seen, const EntryRead& now) {
  return seen.value == now.value;
}
bool holds(const LookupRead& seen, const LookupRead& now) {
  return seen.value == now.value && same_attr(seen.attr, now.attr, seen.depends);
}
bool holds(const PathRead&, const PathRead&) {
  return true;
}
bool holds(const DirEmptyRead& seen, const DirEmptyRead& now) {
  return seen.empty == now.empty;
}
bool holds(const SymlinkRead& seen, const SymlinkRead& now) {
  return seen.target == now.target;
}
bool holds(const XattrRead& seen, const XattrRead& now) {
  return seen.value == now.value;
}
bool holds(const ChunkRead& seen, const ChunkRead& now) {
  return seen.prefix ? now.records.starts_with(seen.records) : now.records == seen.records;
}
bool holds(const ChunkRangeRead& seen, const ChunkRangeRead& now) {
  return seen.chunks == now.chunks;
}
bool holds(const ParentsRead& seen, const ParentsRead& now) {
  return seen.parents == now.parents;
}
bool holds(const SliceRefRead& seen, const SliceRefRead& now) {
  return seen.exact ? seen.refs == now.refs : seen.alive() == now.alive();
}
bool holds(const FlocksRead& seen, const FlocksRead& now) {
  return seen.table == now.table;
}
bool holds(const PlocksRead& seen, const PlocksRead& now) {
  return seen.table == now.table;
}
bool holds(const SessionRead& seen, const SessionRead& now) {
  return seen.exact ? seen.expire == now.expire : seen.expire.has_value() == now.expire.has_value();
}
bool holds(const SustainedRead& seen, const SustainedRead& now) {
  return seen.sids == now.sids;
}
bool holds(const DelayedSlicesRead& seen, const DelayedSlicesRead& now) {
  return seen.records == now.records;
}
bool holds(const XattrNamesRead&, const XattrNamesRead&) {
  return true;
}
bool holds(const LockWaitsRead&, const LockWaitsRead&) {
  return true;
}
bool holds(const HolderLocksRead&, const HolderLocksRead&) {
  return true;
}
bool holds(const UsageRead&, const UsageRead&) {
  return true;
}
bool holds(const DirStatRead&, const DirStatRead&) {
  return true;
}

}  // namespace

bool same_fields(const Attr& a, const Attr& b, Fields fields) {
  auto same = [&](Fields f, const auto& x, const auto& y) { return !(fields & f) || x == y; };
  return same(field::type, a.type, b.type) && same(field::mode, a.mode, b.mode) &&
         same(field::uid, a.uid, b.uid) && same(field::gid, a.gid, b.gid) &&
         same(field::flags, a.flags, b.flags) && same(field::parent, a.parent, b.parent) &&
         same(field::nlink, a.nlink, b.nlink) && same(field::length, a.length, b.length) &&
         same(field::rdev, a.rdev, b.rdev) && same(field::acl, a.access_acl, b.access_acl) &&
         same(field::acl, a.default_acl, b.default_acl) && same(field::tier, a.tier, b.tier) &&
         same(field::atime, a.atime, b.atime) && same(field::mtime, a.mtime, b.mtime) &&
         same(field::ctime, a.ctime, b.ctime);
}

void copy_fields(Attr* to, const Attr& from, Fields fields) {
  if (fields & field::type) to->type = from.type;
  if (fields & field::mode) to->mode = from.mode;
  if (fields & field::uid) to->uid = from.uid;
  if (fields & field::gid) to->gid = from.gid;
  if (fields & field::flags) to->flags = from.flags;
  if (fields & field::parent) to->parent = from.parent;
  if (fields & field::nlink) to->nlink = from.nlink;
  if (fields & field::length) to->length = from.length;
  if (fields & field::rdev) to->rdev = from.rdev;
  if (fields & field::acl) {
    to->access_acl = from.access_acl;
    to->default_acl = from.default_acl;
  }
  if (fields & field::tier) to->tier = from.tier;
  if (fields & field::atime) to->atime = from.atime;
  if (fields & field::mtime) to->mtime = from.mtime;
  if (fields & field::ctime) to->ctime = from.ctime;
}

bool still_holds(const ReadItem& seen, const ReadItem& now) {
  return std::visit(
      [&](const auto& s) {
        const auto* n = std::get_if<std::remove_cvref_t<decltype(s)>>(&now);
        return n != nullptr && holds(s, *n);
      },
      seen);
}

}  // namespace cider::meta
