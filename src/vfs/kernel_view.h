// What the kernel holds of inodes: the attributes it was told last, and the version of the file that its
// cached pages show. A bounded memory: for an inode that fell out, it answers that it does not know.
// Thread-safe.
//
// A version is (mtime, ctime, length): mtime alone misses a rewrite whose author set the time back.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

#include "meta/model/attr.h"

namespace cider::vfs {

class KernelView {
 public:
  KernelView();

  // Attributes went out in a reply.
  void told(Ino ino, const meta::Attr& attr);

  // True if the kernel was last told just these.
  bool knows(Ino ino, const meta::Attr& attr);
  // The inode was found by a name, in the trash or outside.
  void named(Ino ino, bool in_trash);
  // True if the last name by which the kernel found the inode lies outside the trash.
  bool named_outside_trash(Ino ino);

  // The file is being opened with these attributes. True if the kernel's pages show this version; otherwise
  // the answer makes it drop them, and fill them with this one, as soon as the caller has taken it in: until
  // dropped(), but not for long, others that open the file must drop them too.
  bool opened(Ino ino, const meta::Attr& attr);
  // The caller of an open that drops pages has taken in its answer, or never will.
  void dropped(Ino ino);
  // Its answer was not sent, or the caller did not wait for it: the pages may be wrong.
  void not_dropped(Ino ino);
  // The kernel has dropped its pages and fills them with this version.
  void refreshed(Ino ino, const meta::Attr& attr);

  // This client changed the file and the kernel's pages followed; the file is `after` now.
  void moved(Ino ino, const meta::Attr& after);
  // As moved, for a commit of data that found the file as `before`. If the pages show another version,
  // somebody else changed the file in between, and they are not trusted any more.
  void moved_by_write(Ino ino, const meta::Attr& before, const meta::Attr& after);
  // As moved, for a change that touches neither content nor mtime (chmod, rename): holds only if those are as
  // they were.
  void moved_ctime(Ino ino, const meta::Attr& after);

  // True if the kernel's pages show this version.
  bool shows(Ino ino, const meta::Attr& attr);

  // The pages may be wrong: the next open drops them.
  void distrust(Ino ino);
  // The kernel may not have taken the attributes that it was told last: it does not when it is told to forget
  // the inode's while their answer is under way.
  void doubt_attr(Ino ino);

 private:
  struct Version {
    uint64_t mtime = 0;  // folded to 64 bits
    uint64_t ctime = 0;
    uint64_t length = 0;
    bool operator==(const Version&) const = default;
  };
  struct Known {
    Ino ino = 0;
    bool has_attr = false;
    bool has_pages = false;
    bool in_trash = false;
    uint32_t dropping = 0;  // answers under way that make it drop its pages
    std::chrono::steady_clock::time_point dropping_until;
    Version attr;
    Version pages;
  };
  static constexpr size_t kWays = 4;
  using Set = std::array<Known, kWays>;  // most recently used first
  static constexpr size_t kSets = 4096;
  static constexpr size_t kLocks = 64;

  static bool is_dropping(const Known& known);
  static Version version_of(const meta::Attr& attr);
  static size_t set_of(Ino ino) { return (ino * 0x9E3779B97F4A7C15ull) >> 52; }
  std::mutex& mutex_of(Ino ino) { return mutexes_[set_of(ino) % kLocks]; }
  // The inode's entry moved to the front of its set; null if unknown.
  Known* find(Ino ino);
  Known* find_or_add(Ino ino);

  std::vector<Set> sets_;
  std::array<std::mutex, kLocks> mutexes_;
};

}  // namespace cider::vfs
