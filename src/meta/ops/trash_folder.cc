// The hour folders of the trash: `.trash/2026-11-22-17`, made by the first client that needs one.
//
// Reads: the trash root's entry of this name. Writes: as mkdir, but the number comes from a counter of its
// own and the trash root keeps its times. One commit an hour.
#include "meta/ops/env.h"

namespace cider::meta {

void Meta::forget_trash_folder() {
  if (const auto lock = trash_lock_.lock({})) trash_name_.clear();
}

Result<Ino> Meta::trash_folder(const std::stop_token& stop) {
  if (volume()->trash_days <= 0) return Ino{0};
  std::string name = trash_folder_name(clock_.now());
  const auto lock = TRY(trash_lock_.lock(stop));
  if (name != trash_name_) {
    trash_ino_ = TRY(make_trash_folder(name, stop));
    trash_name_ = name;
  }
  return trash_ino_;
}

Result<Ino> Meta::make_trash_folder(const std::string& name, const std::stop_token& stop) {
  std::optional<Ino> present;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& entry = tx.entry(kTrashIno, name);
        TRY(tx.fetch());
        if (entry.value) present = entry.value->ino;
        return {};
      },
      stop));
  if (present) return *present;

  // Where a number is in use the counter was rolled back: ever larger steps bring it forward.
  Ino ino = 0;
  const auto make = [&](int64_t step) -> Status {
    ino = kTrashIno + static_cast<uint64_t>(TRY(store_->add_counter(Counter::next_trash, step, stop)));
    return store_->run(
        [&](Transaction& tx) -> Status {
          present.reset();
          auto& root = tx.attr(kTrashIno, field::type);
          auto& entry = tx.entry(kTrashIno, name);
          TRY(tx.fetch());
          if (entry.value) {
            present = entry.value->ino;
            return {};
          }
          Time now = clock_.now();
          Attr attr;
          attr.type = FileType::directory;
          attr.mode = 0555;
          attr.nlink = 2;
          attr.length = kDirectoryLength;
          attr.parent = kTrashIno;
          attr.atime = attr.mtime = attr.ctime = now;
          if (!root.value) {  // the volume was made without a trash
            Attr trash = attr;
            trash.parent = kRootIno;
            tx.write(InsertNode{kTrashIno, trash});
          }
          tx.write(InsertNode{ino, attr});
          tx.write(InsertEntry{kTrashIno, name, Entry{ino, FileType::directory}});
          tx.write(CreateDirStat{ino});
          tx.write(AddUsage{4096, 1});
          return {};
        },
        stop);
  };
  constexpr int64_t kLargestStep = 1 << 20;
  Status made = fail(kInodeTaken);
  for (int64_t step = 1; !made && made.error().code == kInodeTaken && step < kLargestStep; step *= 2)
    made = make(step);
  if (!made && made.error().code == kInodeTaken) return fail(EIO, "no number is free for a trash folder");
  TRY(std::move(made));
  return present ? *present : ino;
}

}  // namespace cider::meta
