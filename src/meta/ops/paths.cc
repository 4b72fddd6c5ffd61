// From inodes to paths and back.
#include <algorithm>
#include <ranges>

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
  std::vector<std::string> names;
  for (const auto part : std::views::split(path, '/')) {
    if (!part.empty()) names.emplace_back(part.begin(), part.end());
  }
  const auto is_special = [](const std::string& name) {
    return name == "." || name == ".." || name == ".trash" || name.size() > kMaxName;
  };
  if (std::ranges::any_of(names, is_special)) return resolve_by_steps(caller, root, names);
  std::optional<Attr> attr;
  std::vector<LookupRead> found;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& top = tx.attr(root, field::all);
        auto& walk = tx.ask(PathRead{root, names, {}});
        TRY(tx.fetch());
        attr = top.value;
        found = walk.found;
        return {};
      },
      caller.interrupt));
  if (!attr) return fail(ENOENT);
  Node node{root, *attr};
  for (size_t i = 0; i < names.size(); ++i) {
    if (!node.attr.is_dir()) return fail(ENOTDIR);
    if (caller.check_permission) TRY(access(caller, node.attr, kExecute));
    if (i >= found.size() || !found[i].attr) return fail(ENOENT);
    node = Node{found[i].value->ino, *found[i].attr};
  }
  return node;
}

// Names that are no entries are looked up one by one.
Result<Node> Meta::resolve_by_steps(const Caller& caller, Ino root, std::span<const std::string> names) {
  Node node{root, TRY(getattr(root, caller.interrupt))};
  for (const std::string& name : names) {
    if (!node.attr.is_dir()) return fail(ENOTDIR);
    node = TRY(lookup(caller, node.ino, name));
  }
  return node;
}

}  // namespace cider::meta
