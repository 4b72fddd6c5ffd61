// What clients did with a few names, when, and what they were told; and what one client alone would have been
// told. For tests only.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meta/meta.h"

namespace cider::meta::testing {

enum class NameCall { create, open_or_create, mkdir, link, unlink, rmdir, rename, lookup, getattr };

// What a call told; what it does not tell stays 0.
struct NameAnswer {
  int error = 0;
  Ino ino = 0;       // made, found, moved, or that lost its name
  Ino replaced = 0;  // rename: whose name was taken over or exchanged
  uint32_t nlink = 0;
  bool created = false;  // open_or_create
  bool operator==(const NameAnswer&) const = default;
};

struct NameOp {
  // When an answer came that does not tell whether the operation was done: it may be at any later time.
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  size_t client = 0;
  NameCall call = NameCall::lookup;
  size_t place = 0;    // a name in a directory; see place_name()
  size_t target = 0;   // rename
  uint32_t flags = 0;  // rename
  Ino ino = 0;         // link, getattr
  Ino inside = 0;      // create, unlink, lookup: the one name in this directory instead of `place`
  uint64_t invoked = 0;
  uint64_t returned = kNever;
  NameAnswer answer;

  bool outcome_known() const { return returned != kNever; }
  bool makes_whiteout() const { return call == NameCall::rename && (flags & kRenameWhiteout); }
  std::string to_string() const;
};

using NameHistory = std::vector<NameOp>;

// What is there. Nobody holds files open: an inode is there while it has a name, in the trash at least.
struct NameTable {
  std::vector<Ino> at;      // by place; 0: no such name
  std::map<Ino, Ino> dirs;  // the directories that were made, with what their one name stands for
  std::set<Ino> whiteouts;  // character devices
  bool has_trash = false;   // what loses a name goes there, once for each name that it had
  std::set<std::pair<uint64_t, Ino>> trash;  // the place, or the directory, where it was
  bool operator==(const NameTable&) const = default;
  auto operator<=>(const NameTable&) const = default;

  uint32_t names_of(Ino ino) const;  // those in the trash, too
};

// The sequential specification. `fresh` is the number of the inode where one is made; a whiteout's is never
// told.
NameAnswer apply(const NameOp& op, Ino fresh, NameTable* names);

inline constexpr size_t kNamesPerDir = 2;
std::string place_name(size_t place);  // "1/a"
std::string to_string(const NameHistory& history);

}  // namespace cider::meta::testing
