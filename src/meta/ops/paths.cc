// From inodes to paths and back.
#include <algorithm>

#include "meta/ops/env.h"

namespace cider::meta {
namespace {

constexpr size_t kPage = 1000;
constexpr int kMaxDepth = 10'000;

}  // namespace

Result<std::map<Ino, uint32_t>> Meta::parents(Ino ino) {
  std::map<Ino, uint32_t> out;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& inode = tx.attr(ino, field::all);
        auto& holders = tx.ask(ParentsRead{ino, {}});
        TRY(tx.fetch());
        if (!inode.value) return fail(ENOENT);
        if (inode.value->parent != 0) {
          out[inode.value->parent] = 1;
        } else {
          out = holders.parents;
        }
        return {};
      },
      {}));
  return out;
}

Result<std::vector<std::string>> Meta::paths(Ino ino) {
  std::vector<std::string> out;
  if (ino == kRootIno) return std::vector<std::string>{"/"};
  for (const auto& [first, count] : TRY(parents(ino))) {
    // The names by which `first` holds the inode, then one name per ancestor.
    std::vector<std::string> tails;
    Ino child = ino;
    Ino dir = first;
    bool reached = false;
    for (int depth = 0; depth < kMaxDepth; ++depth) {
      std::vector<std::string> names;
      DirCursor cursor;
      while (!cursor.at_end && (names.empty() || (child == ino && names.size() < count))) {
        for (ListedEntry& entry : TRY(list_dir(dir, &cursor, kPage, false))) {
          if (entry.entry.ino == child) names.push_back(std::move(entry.name));
        }
      }
      if (dir == kRootIno && child == kTrashIno) names = {".trash"};
      if (names.empty()) break;  // moved away while we looked
      if (tails.empty()) {
        for (const std::string& name : names) tails.push_back("/" + name);
      } else {
        for (std::string& tail : tails) tail.insert(0, "/" + names.front());
      }
      if (dir == kRootIno) {
        reached = true;
        break;
      }
      child = dir;
      dir = TRY(getattr(dir)).parent;
    }
    if (reached) out.insert(out.end(), tails.begin(), tails.end());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<Node> Meta::resolve(const Caller& caller, Ino root, std::string_view path) {
  Node node{root, TRY(getattr(root, caller.interrupt))};
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty()) continue;
    if (!node.attr.is_dir()) return fail(ENOTDIR);
    node = TRY(lookup(caller, node.ino, name));
  }
  return node;
}

}  // namespace cider::meta
