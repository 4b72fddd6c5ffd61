// Which of several cache directories a block belongs to: a ring of virtual nodes, so that a directory that
// goes away moves no blocks but its own.
// Source: JuiceFS 1.4 places blocks by the same ring (100 nodes for each directory, MurmurHash3 x86 32 of the
// object's key, node counts evened out in five rounds), and so both find each other's files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cider::chunk {

// MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain algorithm).
uint32_t murmur3(std::string_view bytes);

// Immutable, so thread-safe.
class DirRing {
 public:
  DirRing() = default;
  // `ids` are what the directories' `.lock` files hold.
  explicit DirRing(const std::vector<std::string>& ids);

  bool empty() const { return nodes_.empty(); }
  // The place in `ids` of the directory for an object's key. Not of an empty ring.
  size_t at(std::string_view key) const;

 private:
  std::vector<std::pair<uint32_t, uint32_t>> nodes_;  // hash, place in ids; sorted
};

}  // namespace cider::chunk
