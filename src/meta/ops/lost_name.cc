#include "meta/ops/lost_name.h"

namespace cider::meta {
namespace {

void move_to_trash(Transaction& tx, const OpEnv& env, const LostName& lost, Ino trash) {
  const Attr& attr = *lost.attr;
  PatchNode patch{lost.entry.ino};
  patch.touch_ctime = env.now;
  if (attr.parent > 0) {
    patch.set = field::parent;
    patch.values.parent = trash;
  } else {
    tx.write(AddParent{lost.entry.ino, lost.parent, -1});
    tx.write(AddParent{lost.entry.ino, trash, +1});
  }
  tx.write(std::move(patch));
  tx.write(InsertEntry{trash, trash_entry_name(lost.parent, lost.entry.ino, lost.name), lost.entry});
  add_dir_stat(tx, env, trash, attr, +1);
}

void drop_link(Transaction& tx, const OpEnv& env, const LostName& lost) {
  const Attr& attr = *lost.attr;
  PatchNode patch{lost.entry.ino};
  patch.touch_ctime = env.now;
  patch.set = field::nlink;
  patch.values.nlink = attr.nlink > 0 ? attr.nlink - 1 : 0;  // 0: left by an older client's crash
  tx.write(std::move(patch));
  if (attr.parent == 0) tx.write(AddParent{lost.entry.ino, lost.parent, -1});
}

void delete_inode(Transaction& tx, const OpEnv& env, const LostName& lost, Aftermath* after) {
  const Attr& attr = *lost.attr;
  tx.write(DeleteNode{lost.entry.ino});
  tx.write(AddUsage{-static_cast<int64_t>(space_of(attr)), -1});
  if (!attr.is_file()) return;
  tx.write(PutDeletedFile{lost.entry.ino, attr.length, env.now.sec});
  after->delete_data = true;
}

}  // namespace

AttrRead* ask_trash(Transaction& tx, Ino trash) {
  return trash == 0 ? nullptr : &tx.attr(trash, field::type);
}

Status check_trash(const AttrRead* trash) {
  if (trash != nullptr && !trash->value) return fail(kStaleTrash);
  return {};
}

Result<Aftermath> lose_name(Transaction& tx, OpEnv& env, const LostName& lost, Ino trash) {
  Aftermath after{lost.entry.ino, false, false, lost.attr ? lost.attr->length : 0};
  if (!lost.attr) return after;
  const Attr& attr = *lost.attr;
  if (attr.flags & kFlagSkipTrash) trash = 0;
  if (trash != 0 && attr.nlink > 1 && !attr.is_dir()) {
    // A second link of the same name and folder in one hour has its place in the trash already.
    auto& taken = tx.entry(trash, trash_entry_name(lost.parent, lost.entry.ino, lost.name));
    TRY(tx.fetch());
    if (taken.value) trash = 0;
  }
  if (trash != 0) {
    move_to_trash(tx, env, lost, trash);
    return after;
  }
  if (attr.is_dir() || attr.nlink <= 1) {
    bool open = attr.is_file() && env.sid != 0 && env.removal.sample_open(lost.entry.ino);
    if (!open) {
      delete_inode(tx, env, lost, &after);
      return after;
    }
    SessionRead* session = ask_own_session(tx, env);
    TRY(tx.fetch());
    TRY(check_own_session(session));
    tx.write(PutSustained{env.sid, lost.entry.ino});
    after.kept_open = true;
  }
  drop_link(tx, env, lost);
  return after;
}

}  // namespace cider::meta
