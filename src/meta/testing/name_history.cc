#include "meta/testing/name_history.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cider::meta::testing {
namespace {

bool is_dir(const NameTable& names, Ino ino) {
  return names.dirs.contains(ino);
}

uint32_t links(const NameTable& names, Ino ino) {
  const uint32_t count = names.names_of(ino);
  return count != 0 && is_dir(names, ino) ? 2 : count;
}

// `ino` has just lost the name at `place`.
void lose(NameTable& names, uint64_t place, Ino ino) {
  // A second link of the same name goes for good.
  const bool last = names.names_of(ino) == 0;
  if (names.has_trash && (last || !names.trash.contains({place, ino}))) {
    names.trash.insert({place, ino});
  } else if (last) {
    names.dirs.erase(ino);
    names.whiteouts.erase(ino);
  }
}

bool is_empty(const NameTable& names, Ino dir) {
  return names.dirs.at(dir) == 0;
}

NameAnswer rename(const NameOp& op, Ino fresh, NameTable& names) {
  Ino& from = names.at[op.place];
  Ino& to = names.at[op.target];
  if (from == 0) return {.error = ENOENT};
  if (to != 0 && (op.flags & kRenameNoReplace)) return {.error = EEXIST};
  if (to == 0 && (op.flags & kRenameExchange)) return {.error = ENOENT};
  NameAnswer answer{.ino = from, .nlink = links(names, from)};
  if (from == to) return answer;  // two names of one inode, or one name: both stay
  if (to != 0 && !(op.flags & kRenameExchange)) {
    if (is_dir(names, from) && !is_dir(names, to)) return {.error = ENOTDIR};
    if (!is_dir(names, from) && is_dir(names, to)) return {.error = EISDIR};
    if (is_dir(names, to) && !is_empty(names, to)) return {.error = ENOTEMPTY};
  }
  answer.replaced = to;
  Ino left = (op.flags & kRenameExchange) ? to : 0;
  if (op.makes_whiteout()) names.whiteouts.insert(left = fresh);
  to = from;
  from = left;
  if (answer.replaced != 0 && !(op.flags & kRenameExchange)) lose(names, op.target, answer.replaced);
  return answer;
}

NameAnswer remove(const NameOp& op, Ino& name, NameTable& names) {
  if (name == 0) return {.error = ENOENT};
  const bool dir = is_dir(names, name);
  if (op.call == NameCall::unlink && dir) return {.error = EISDIR};
  if (op.call == NameCall::rmdir && !dir) return {.error = ENOTDIR};
  if (dir && !is_empty(names, name)) return {.error = ENOTEMPTY};
  const Ino gone = std::exchange(name, 0);
  lose(names, op.inside != 0 ? op.inside : op.place, gone);
  return {.ino = gone};
}

// The name that the operation is about; null where its directory is gone, be it to the trash.
Ino* find_name(const NameOp& op, NameTable& names) {
  if (op.inside == 0) return &names.at.at(op.place);
  auto dir = names.dirs.find(op.inside);
  const bool there = dir != names.dirs.end() && std::ranges::find(names.at, op.inside) != names.at.end();
  return there ? &dir->second : nullptr;
}

std::string call_text(const NameOp& op) {
  const std::string name = op.inside != 0 ? "the name in " + std::to_string(op.inside) : place_name(op.place);
  const std::string ino = std::to_string(op.ino);
  switch (op.call) {
    case NameCall::create:
      return "create " + name;
    case NameCall::open_or_create:
      return "open or create " + name;
    case NameCall::mkdir:
      return "mkdir " + name;
    case NameCall::link:
      return "link " + ino + " as " + name;
    case NameCall::unlink:
      return "unlink " + name;
    case NameCall::rmdir:
      return "rmdir " + name;
    case NameCall::rename:
      return std::string("rename ") +
             (op.flags & kRenameNoReplace  ? "(no replace) "
              : op.flags & kRenameExchange ? "(exchange) "
              : op.makes_whiteout()        ? "(whiteout) "
                                           : "") +
             name + " to " + place_name(op.target);
    case NameCall::lookup:
      return "lookup " + name;
    case NameCall::getattr:
      return "getattr " + ino;
  }
  return "";
}

std::string answer_text(const NameAnswer& answer) {
  if (answer.error != 0) {
    const char* name = strerrorname_np(answer.error);
    return name ? name : std::to_string(answer.error);
  }
  std::string text = "ok";
  if (answer.ino != 0) text += ", inode " + std::to_string(answer.ino);
  if (answer.nlink != 0) text += ", " + std::to_string(answer.nlink) + " links";
  if (answer.replaced != 0) text += ", in place of " + std::to_string(answer.replaced);
  if (answer.created) text += ", created";
  return text;
}

}  // namespace

uint32_t NameTable::names_of(Ino ino) const {
  if (ino == 0) return 0;
  const auto inside = std::ranges::count(dirs, ino, &std::pair<const Ino, Ino>::second);
  const auto trashed = std::ranges::count(trash, ino, &std::pair<uint64_t, Ino>::second);
  return static_cast<uint32_t>(std::ranges::count(at, ino) + inside + trashed);
}

NameAnswer apply(const NameOp& op, Ino fresh, NameTable* names) {
  Ino* const found = find_name(op, *names);
  if (found == nullptr) return {.error = ENOENT};
  Ino& name = *found;
  switch (op.call) {
    case NameCall::create:
    case NameCall::mkdir:
      if (name != 0) return {.error = EEXIST};
      name = fresh;
      if (op.call == NameCall::mkdir) names->dirs[fresh] = 0;
      return {.ino = fresh};
    case NameCall::open_or_create: {
      if (is_dir(*names, name)) return {.error = EISDIR};
      if (names->whiteouts.contains(name)) return {.error = EEXIST};
      bool created = name == 0;
      if (created) name = fresh;
      return {.ino = name, .created = created};
    }
    case NameCall::link:
      if (links(*names, op.ino) == 0) return {.error = ENOENT};
      if (name != 0) return {.error = EEXIST};
      if (is_dir(*names, op.ino)) return {.error = EPERM};
      name = op.ino;
      return {.ino = op.ino, .nlink = links(*names, op.ino)};
    case NameCall::unlink:
    case NameCall::rmdir:
      return remove(op, name, *names);
    case NameCall::rename:
      return rename(op, fresh, *names);
    case NameCall::lookup:
      if (name == 0) return {.error = ENOENT};
      return {.ino = name, .nlink = links(*names, name)};
    case NameCall::getattr: {
      uint32_t nlink = links(*names, op.ino);
      return nlink == 0 ? NameAnswer{.error = ENOENT} : NameAnswer{.ino = op.ino, .nlink = nlink};
    }
  }
  return {.error = EINVAL};
}

std::string place_name(size_t place) {
  return std::to_string(place / kNamesPerDir) + "/" + static_cast<char>('a' + place % kNamesPerDir);
}

std::string NameOp::to_string() const {
  std::string end = outcome_known() ? std::to_string(returned) : "?";
  return "[" + std::to_string(invoked) + ", " + end + "] client " + std::to_string(client) + ": " +
         call_text(*this) + ": " + answer_text(answer);
}

std::string to_string(const NameHistory& history) {
  std::string text;
  for (const NameOp& op : history) text += "\n  " + op.to_string();
  return text;
}

}  // namespace cider::meta::testing
