#include "vfs/tree_summary.h"

#include <algorithm>
#include <mutex>

#include "vfs/tree_walk.h"

namespace cider::vfs {
namespace {

using meta::Attr;
using meta::ListedEntry;

void add(Summary* sum, const Attr& attr) {
  sum->size += meta::align4k(attr.is_dir() ? 0 : attr.length);
  if (attr.is_dir()) {
    ++sum->dirs;
  } else {
    ++sum->files;
    if (attr.is_file()) sum->length += attr.length;
  }
}

void add(Summary* sum, const Summary& other) {
  sum->length += other.length;
  sum->size += other.size;
  sum->files += other.files;
  sum->dirs += other.dirs;
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "/" + name;
}

// What is beyond the `top` largest children becomes one line.
void keep_largest(TreeSummary* tree, unsigned top) {
  std::ranges::sort(tree->children, std::ranges::greater{}, [](const TreeSummary& t) { return t.sum.size; });
  if (tree->children.size() <= top) return;
  TreeSummary rest{.path = join(tree->path, "..."), .type = meta::FileType::file};
  for (size_t i = top; i < tree->children.size(); ++i) add(&rest.sum, tree->children[i].sum);
  tree->children.resize(top);
  tree->children.push_back(std::move(rest));
}

Status fill(meta::Meta& meta, const Caller& caller, TreeSummary* tree, unsigned depth, unsigned top,
            const CountProgress& progress) {
  TRY(for_each_entry(meta, caller, tree->ino, [&](const ListedEntry& entry) -> Status {
    TreeSummary child{.ino = entry.entry.ino, .path = join(tree->path, entry.name), .type = entry.attr->type};
    if (!entry.attr->is_dir()) {
      add(&child.sum, *entry.attr);
      progress(1, child.sum.size);
    } else if (entry.attr->parent != tree->ino) {
      add(&child.sum, *entry.attr);  // a damaged record: the directory lies elsewhere, perhaps above
    } else if (depth <= 1) {
      child.sum = TRY(summarize(meta, caller, child.ino, true, progress));
    } else {
      add(&child.sum, *entry.attr);
      progress(1, child.sum.size);
      TRY(fill(meta, caller, &child, depth - 1, top, progress));
    }
    add(&tree->sum, child.sum);
    tree->children.push_back(std::move(child));
    // A directory of a million files must not become a million nodes: only the largest are of interest.
    if (tree->children.size() > 2 * size_t{top} + 1000) keep_largest(tree, top);
    return {};
  }));
  keep_largest(tree, top);
  return {};
}

}  // namespace

Result<Summary> summarize(meta::Meta& meta, const Caller& caller, Ino ino, bool recursive,
                          const CountProgress& progress) {
  Summary sum;
  std::mutex mutex;
  const auto count = [&](const Attr& attr) {
    Summary one;
    add(&one, attr);
    progress(1, one.size);
    std::lock_guard lock(mutex);
    add(&sum, one);
  };
  const Attr root = TRY(meta.getattr(ino));
  count(root);
  if (!root.is_dir()) return sum;
  TRY(walk_tree(meta, caller, ino, recursive, [&](const ListedEntry& entry) -> Status {
    count(*entry.attr);
    return {};
  }));
  return sum;
}

Result<TreeSummary> summarize_tree(meta::Meta& meta, const Caller& caller, Ino ino, unsigned depth,
                                   unsigned top, const CountProgress& progress) {
  const Attr attr = TRY(meta.getattr(ino));
  TreeSummary tree{.ino = ino, .type = attr.type};
  if (depth == 0 || !attr.is_dir()) {
    tree.sum = TRY(summarize(meta, caller, ino, true, progress));
    return tree;
  }
  add(&tree.sum, attr);
  progress(1, tree.sum.size);
  TRY(fill(meta, caller, &tree, depth, top, progress));
  return tree;
}

}  // namespace cider::vfs
