#include "meta/store/sql/server/shared_question.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "meta/store/sql/node.h"
#include "meta/store/sql/questions.h"
#include "meta/store/sql/repeated.h"

namespace cider::meta::sql::server {
namespace {

Status take_attrs(const std::vector<Parts::value_type*>& parts, Rows& rows) {
  std::unordered_map<Ino, AttrRead*> questions;
  for (auto* part : parts) {
    auto& question = std::get<AttrRead>(part->second);
    question.value.reset();
    questions[question.ino] = &question;
  }
  while (TRY(rows.next())) {
    auto found = questions.find(static_cast<Ino>(rows.integer(0)));
    if (found == questions.end()) return fail(EIO, "the database answered for another inode");
    found->second->value = TRY(read_attr(rows, 1, found->first));
  }
  return {};
}

Status take_entries(const std::vector<Parts::value_type*>& parts, Rows& rows) {
  std::unordered_map<std::string_view, EntryRead*> questions;
  for (auto* part : parts) {
    auto& question = std::get<EntryRead>(part->second);
    question.value.reset();
    questions[question.name] = &question;
  }
  while (TRY(rows.next())) {
    auto found = questions.find(rows.bytes(0));
    if (found == questions.end()) return fail(EIO, "the database answered for another name");
    found->second->value = TRY(read_entry(rows, 1, found->second->parent));
  }
  return {};
}

}  // namespace

bool SharedQuestion::add(Parts::value_type& part) {
  const ReadItem& first = parts.front()->second;
  if (first.index() != part.second.index() || parts.size() >= kMostRows) return false;
  if (const auto* entry = std::get_if<EntryRead>(&first)) {
    if (entry->parent != std::get<EntryRead>(part.second).parent) return false;
  } else if (!std::holds_alternative<AttrRead>(first)) {
    return false;
  }
  parts.push_back(&part);
  return true;
}

Statement SharedQuestion::statement() const {
  if (parts.size() == 1) return question(parts.front()->second);
  Statement out;
  if (std::holds_alternative<AttrRead>(parts.front()->second)) {
    out.text =
        repeated("SELECT inode," CIDER_NODE_COLUMNS("") " FROM jfs_node WHERE inode=?{lock}", parts.size());
    for (const auto* part : parts) out.add(std::get<AttrRead>(part->second).ino);
  } else {
    out.text = repeated("SELECT name,inode,type FROM jfs_edge WHERE parent=? AND name=?{lock}", parts.size());
    for (const auto* part : parts) {
      const auto& entry = std::get<EntryRead>(part->second);
      out.add(entry.parent);
      out.add(std::string_view(entry.name));
    }
  }
  return out;
}

Status SharedQuestion::take(Rows& rows) const {
  if (parts.size() == 1) return sql::take(&parts.front()->second, rows);
  return std::holds_alternative<AttrRead>(parts.front()->second) ? take_attrs(parts, rows)
                                                                 : take_entries(parts, rows);
}

}  // namespace cider::meta::sql::server
