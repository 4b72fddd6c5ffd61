// The writes of several operations that one transaction commits, as fewer statements than each by itself
// would take: rows for the same table go into one statement where the server parses each anew, and what moves
// the times and links of the same inode becomes one patch.
//
// Operations of a transaction don't change what the others have read, so that a statement may go before
// those of other operations; none goes before one that names the same inode or entry.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "meta/store/sql/changes.h"

namespace cider::meta::sql {

class MergedChanges {
 public:
  // In the order of the operations. The writes have to live as long as this and its statements.
  void add(std::span<const WriteItem> writes);
  // Appends the statements. A unique key that one of them finds taken may be any of its rows'.
  void append_to(std::vector<Change>* out, const ChangeContext& context) const;

 private:
  // A write, perhaps of our own in place of several that say where they want their answers.
  struct Item {
    const WriteItem* write;
    std::vector<std::optional<Attr>*> more_after;
  };
  bool merge(const PatchNode& patch);

  struct Patch {
    size_t item;  // in items_
    PatchNode* patch;
  };

  std::vector<Item> items_;
  std::deque<WriteItem> patches_;
  std::map<Ino, Patch> patch_of_;  // those that take in further patches
};

}  // namespace cider::meta::sql
