// What becomes of an inode that loses a name: it goes to the trash, keeps its other links, lives on while it
// is open, or is deleted. Shared by unlink, rmdir and rename over an existing entry.
#pragma once

#include "meta/ops/env.h"

namespace cider::meta {

// What the operation depends on in the inode that loses a name.
inline constexpr Fields kVictimFields =
    field::type | field::nlink | field::uid | field::flags | field::parent | field::length;

// The name and what it points to. `attr` is empty for a dangling entry (an older client's crash): then only
// the name goes.
struct LostName {
  Ino parent = 0;
  std::string_view name;
  Entry entry;
  std::optional<Attr> attr;
};

// What is to be done once the operation is committed.
struct Aftermath {
  Ino ino = 0;
  bool delete_data = false;  // the file's slices are unwanted
  bool kept_open = false;    // unlinked, but open here
  uint64_t length = 0;
};

// Asks whether the trash folder is still there (kStaleTrash if not). Call before the first fetch; 0 asks
// nothing.
AttrRead* ask_trash(Transaction& tx, Ino trash);
Status check_trash(const AttrRead* trash);

// Writes what becomes of the inode. The entry itself, the parent's times and whether the name may go are the
// caller's. `trash`: the hour folder, or 0 to delete.
Result<Aftermath> lose_name(Transaction& tx, OpEnv& env, const LostName& lost, Ino trash);

}  // namespace cider::meta
