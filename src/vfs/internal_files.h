// The files in the mount's root that are not in the volume: their names, inode numbers and attributes.
// Numbers and modes are those of JuiceFS, so that its tools find them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "meta/model/attr.h"

namespace cider::vfs {

inline constexpr Ino kFirstInternalIno = 0x7FFFFFFF00000000;
inline constexpr Ino kAccessLogIno = kFirstInternalIno + 1;
inline constexpr Ino kControlIno = kFirstInternalIno + 2;
inline constexpr Ino kStatsIno = kFirstInternalIno + 3;
inline constexpr Ino kConfigIno = kFirstInternalIno + 4;

// Not the trash: that is a directory of the volume, though its name is given here.
constexpr bool is_internal(Ino ino) {
  return ino > kFirstInternalIno && ino < kTrashIno;
}

struct InternalNode {
  Ino ino = 0;
  std::string name;
  meta::Attr attr;
};

// Immutable, so thread-safe.
class InternalFiles {
 public:
  // prefix: names begin with ".jfs". has_trash: the trash belongs to this mount (false below a --subdir).
  InternalFiles(bool prefix, bool has_trash);

  // By name in the mount's root. `.control` is found in every directory, as JuiceFS's tools look for it
  // beside a file.
  const InternalNode* find(std::string_view name, bool in_root) const;
  const InternalNode* find(Ino ino) const;
  // Those that a listing of the root shows; `.control` never is.
  const std::vector<InternalNode>& listed() const { return listed_; }

 private:
  InternalNode control_;
  std::vector<InternalNode> listed_;
};

}  // namespace cider::vfs
