#include "meta/store/disturbs.h"

#include <variant>

#include "base/overloaded.h"

namespace cider::meta {
namespace {

Fields changed_by(const PatchNode& patch) {
  Fields changed = patch.set;
  if (patch.nlink_delta != 0) changed |= field::nlink;
  if (patch.touch) changed |= field::mtime | field::ctime;
  if (patch.touch_ctime) changed |= field::ctime;
  return changed;
}

// What an inode's change of `fields` does; all of them and its being there, where it comes or goes.
bool node_changes(const ReadItem& read, Ino ino, Fields fields) {
  if (const auto* attr = std::get_if<AttrRead>(&read))
    return attr->ino == ino && ((attr->depends | attr->answered) & fields) != 0;
  if (const auto* lookup = std::get_if<LookupRead>(&read))
    return lookup->value && lookup->value->ino == ino && ((lookup->depends | lookup->answered) & fields) != 0;
  return false;
}

bool node_comes_or_goes(const ReadItem& read, Ino ino) {
  if (const auto* attr = std::get_if<AttrRead>(&read)) return attr->ino == ino;
  if (const auto* lookup = std::get_if<LookupRead>(&read)) return lookup->value && lookup->value->ino == ino;
  if (const auto* xattr = std::get_if<XattrRead>(&read)) return xattr->ino == ino;
  if (const auto* names = std::get_if<XattrNamesRead>(&read)) return names->ino == ino;
  if (const auto* symlink = std::get_if<SymlinkRead>(&read)) return symlink->ino == ino;
  return false;
}

bool entry_changes(const ReadItem& read, Ino parent, const std::string& name, Ino before, Ino after) {
  if (const auto* entry = std::get_if<EntryRead>(&read))
    return entry->parent == parent && entry->name == name;
  if (const auto* lookup = std::get_if<LookupRead>(&read))
    return lookup->parent == parent && lookup->name == name;
  if (const auto* empty = std::get_if<DirEmptyRead>(&read)) return empty->ino == parent;
  if (const auto* parents = std::get_if<ParentsRead>(&read))
    return parents->ino == before || parents->ino == after;
  return false;
}

bool chunk_changes(const ReadItem& read, Ino ino) {
  if (const auto* chunk = std::get_if<ChunkRead>(&read)) return chunk->ino == ino;
  if (const auto* range = std::get_if<ChunkRangeRead>(&read)) return range->ino == ino;
  return false;
}

bool ref_changes(const ReadItem& read, uint64_t id) {
  const auto* ref = std::get_if<SliceRefRead>(&read);
  return ref && ref->id == id;
}

bool delayed_changes(const ReadItem& read, uint64_t id) {
  const auto* delayed = std::get_if<DelayedSlicesRead>(&read);
  return delayed && delayed->id == id;
}

bool xattr_changes(const ReadItem& read, Ino ino) {
  if (const auto* xattr = std::get_if<XattrRead>(&read)) return xattr->ino == ino;
  const auto* names = std::get_if<XattrNamesRead>(&read);
  return names && names->ino == ino;
}

bool sustained_changes(const ReadItem& read, Ino ino) {
  const auto* sustained = std::get_if<SustainedRead>(&read);
  return sustained && sustained->ino == ino;
}

// Locks are few: all of them count as one.
bool locks_change(const ReadItem& read) {
  return std::holds_alternative<FlocksRead>(read) || std::holds_alternative<PlocksRead>(read) ||
         std::holds_alternative<LockWaitsRead>(read) || std::holds_alternative<HolderLocksRead>(read);
}

}  // namespace

bool disturbs(const WriteItem& write, const ReadItem& read) {
  if (std::holds_alternative<PathRead>(read)) return true;
  return std::visit(Overloaded{
                        [&](const InsertNode& w) { return node_comes_or_goes(read, w.ino); },
                        [&](const PatchNode& w) { return node_changes(read, w.ino, changed_by(w)); },
                        [&](const DeleteNode& w) { return node_comes_or_goes(read, w.ino); },
                        [&](const InsertEntry& w) {
                          return entry_changes(read, w.parent, w.name, w.entry.ino, w.entry.ino);
                        },
                        [&](const ReplaceEntry& w) {
                          return entry_changes(read, w.parent, w.name, w.old_entry.ino, w.entry.ino);
                        },
                        [&](const DeleteEntry& w) {
                          return entry_changes(read, w.parent, w.name, w.old_entry.ino, w.old_entry.ino);
                        },
                        [&](const SetSymlink& w) { return node_comes_or_goes(read, w.ino); },
                        [&](const SetXattr& w) { return xattr_changes(read, w.ino); },
                        [&](const RemoveXattr& w) { return xattr_changes(read, w.ino); },
                        [&](const AddParent& w) {
                          const auto* parents = std::get_if<ParentsRead>(&read);
                          return parents && parents->ino == w.ino;
                        },
                        [&](const AppendSlices& w) { return chunk_changes(read, w.ino); },
                        [&](const HoleOverChunks& w) { return chunk_changes(read, w.ino); },
                        [&](const LeaveChunks&) { return false; },
                        [&](const ReplaceSlices& w) { return chunk_changes(read, w.ino); },
                        [&](const DeleteChunk& w) { return chunk_changes(read, w.ino); },
                        [&](const InsertSliceRef& w) { return ref_changes(read, w.id); },
                        [&](const AddSliceRef& w) { return ref_changes(read, w.id); },
                        [&](const DeleteSliceRef& w) { return ref_changes(read, w.id); },
                        [&](const PutDelayedSlices& w) { return delayed_changes(read, w.id); },
                        [&](const DeleteDelayedSlices& w) { return delayed_changes(read, w.id); },
                        [&](const PutSustained& w) { return sustained_changes(read, w.ino); },
                        [&](const DeleteSustained& w) { return sustained_changes(read, w.ino); },
                        [&](const PutDeletedFile&) { return false; },
                        [&](const DeleteDeletedFile&) { return false; },
                        [&](const PutFlock&) { return locks_change(read); },
                        [&](const DeleteFlock&) { return locks_change(read); },
                        [&](const PutPlock&) { return locks_change(read); },
                        [&](const PutLockWait&) { return locks_change(read); },
                        [&](const DeleteLockWait&) { return locks_change(read); },
                        [&](const DeleteSession& w) {
                          const auto* session = std::get_if<SessionRead>(&read);
                          return (session && session->sid == w.sid) || locks_change(read);
                        },
                        [&](const AddUsage&) { return false; },
                        [&](const CreateDirStat&) { return false; },
                        [&](const AddDirStat&) { return false; },
                        [&](const DeleteDirStat&) { return false; },
                    },
                    write);
}

}  // namespace cider::meta
