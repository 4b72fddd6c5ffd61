#include "meta/testing/name_history.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cider::meta::testing {
namespace {

uint32_t links(const NameTable& names, Ino ino) {
  return ino == 0 ? 0 : static_cast<uint32_t>(std::ranges::count(names, ino));
}

NameAnswer rename(const NameOp& op, NameTable& names) {
  Ino& from = names[op.place];
  Ino& to = names[op.target];
  if (from == 0) return {.error = ENOENT};
  if (to != 0 && (op.flags & kRenameNoReplace)) return {.error = EEXIST};
  if (to == 0 && (op.flags & kRenameExchange)) return {.error = ENOENT};
  NameAnswer answer{.ino = from, .nlink = links(names, from)};
  if (from == to) return answer;  // two names of one inode, or one name: both stay
  answer.replaced = to;
  Ino left = (op.flags & kRenameExchange) ? to : 0;
  to = from;
  from = left;
  return answer;
}

std::string call_text(const NameOp& op) {
  const std::string name = place_name(op.place);
  const std::string ino = std::to_string(op.ino);
  switch (op.call) {
    case NameCall::create:
      return "create " + name;
    case NameCall::open_or_create:
      return "open or create " + name;
    case NameCall::link:
      return "link " + ino + " as " + name;
    case NameCall::unlink:
      return "unlink " + name;
    case NameCall::rename:
      return std::string("rename ") +
             (op.flags & kRenameNoReplace  ? "(no replace) "
              : op.flags & kRenameExchange ? "(exchange) "
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

NameAnswer apply(const NameOp& op, Ino fresh, NameTable* names) {
  Ino& name = names->at(op.place);
  switch (op.call) {
    case NameCall::create:
      if (name != 0) return {.error = EEXIST};
      name = fresh;
      return {.ino = fresh};
    case NameCall::open_or_create: {
      bool created = name == 0;
      if (created) name = fresh;
      return {.ino = name, .created = created};
    }
    case NameCall::link:
      if (links(*names, op.ino) == 0) return {.error = ENOENT};
      if (name != 0) return {.error = EEXIST};
      name = op.ino;
      return {.ino = op.ino, .nlink = links(*names, op.ino)};
    case NameCall::unlink:
      if (name == 0) return {.error = ENOENT};
      return {.ino = std::exchange(name, 0)};
    case NameCall::rename:
      return rename(op, *names);
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
