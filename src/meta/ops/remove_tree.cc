// rmr: removes a tree entry by entry, depth first, with bounded memory; also how the trash is emptied.
#include "base/log.h"
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

constexpr size_t kPage = 1000;

// The name is gone, or of another kind than it was listed as; if it is still there the next listing shows it.
bool changed_meanwhile(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR || error.code == EISDIR;
}

}  // namespace

Status Meta::remove_tree(const Caller& caller, Ino parent, std::string_view name, bool skip_trash,
                         std::atomic<uint64_t>* removed) {
  Node top = TRY(lookup(caller, parent, name));
  if (!top.attr.is_dir()) {
    TRY(unlink(caller, parent, name, skip_trash));
    ++*removed;
    return {};
  }
  // A directory on the way down, and what is left of its present page. Entries come anew from the beginning
  // each time, as those before are gone.
  struct Level {
    Ino parent;
    std::string name;
    Ino dir;
    std::vector<ListedEntry> page;
  };
  std::vector<Level> path;
  path.push_back({parent, std::string(name), top.ino, {}});
  while (!path.empty()) {
    if (caller.interrupt.stop_requested()) return fail(EINTR);
    Level& level = path.back();
    if (level.page.empty()) {
      DirCursor cursor;
      level.page = TRY(list_dir(level.dir, &cursor, kPage, false, caller.interrupt));
    }
    if (level.page.empty()) {
      auto gone = rmdir(caller, level.parent, level.name, skip_trash);
      if (!gone && gone.error().code == ENOTEMPTY) continue;  // somebody added an entry meanwhile
      if (!gone && !changed_meanwhile(gone.error())) return fail(std::move(gone).error());
      if (gone) ++*removed;
      path.pop_back();
      continue;
    }
    ListedEntry entry = std::move(level.page.back());
    level.page.pop_back();
    if (entry.entry.type == FileType::directory) {
      path.push_back({level.dir, std::move(entry.name), entry.entry.ino, {}});
      continue;
    }
    auto gone = unlink(caller, level.dir, entry.name, skip_trash);
    if (!gone && !changed_meanwhile(gone.error())) return fail(std::move(gone).error());
    if (gone) ++*removed;
  }
  return {};
}

// An entry that cannot be removed (immutable, damaged) must not keep the others for ever: it stays, is told,
// and the rest goes.
Status Meta::empty_trash_folder(Ino folder) {
  const Caller root;
  std::atomic<uint64_t> removed{0};
  DirCursor cursor;
  while (!cursor.at_end) {
    for (const ListedEntry& entry : TRY(list_dir(folder, &cursor, kPage, false))) {
      Status gone = remove_tree(root, folder, entry.name, true, &removed);
      if (!gone && gone.error().code == ENOENT) {  // its inode is missing: the name may still go
        auto name_gone = unlink(root, folder, entry.name, true);
        gone = name_gone || name_gone.error().code == ENOENT ? Status{} : fail(name_gone.error());
      }
      if (gone) continue;
      const int code = gone.error().code;
      if (code != EPERM && code != EACCES && code != EIO) return gone;
      log::warning("trash: " + entry.name + " stays: " + gone.error().to_string());
    }
  }
  return {};
}

Status Meta::clean_trash(Time before) {
  DirCursor cursor;
  const Caller root;
  while (!cursor.at_end) {
    for (const ListedEntry& folder : TRY(list_dir(kTrashIno, &cursor, kPage, false))) {
      Time hour;
      if (!parse_trash_folder_name(folder.name, &hour) || hour >= before) continue;
      // Not by remove_tree of the folder itself: nobody may remove from `.trash` but this job.
      TRY(empty_trash_folder(folder.entry.ino));
      auto gone = rmdir(root, kTrashIno, folder.name, true);
      if (!gone && gone.error().code != ENOENT && gone.error().code != ENOTEMPTY)
        return fail(std::move(gone).error());
    }
  }
  return {};
}

}  // namespace cider::meta
