#include "meta/store/redis/records.h"

namespace cider::meta::redis {

std::optional<Answer> answer_from_records(const ReadItem& item, FunctionRef<std::optional<Record>(Ino)> inode,
                                          FunctionRef<std::optional<Record>(Ino, std::string_view)> entry) {
  if (const auto* attr = std::get_if<AttrRead>(&item)) {
    auto record = inode(attr->ino);
    if (!record) return std::nullopt;
    return Answer{*std::move(record)};
  }
  if (const auto* name = std::get_if<EntryRead>(&item)) {
    auto record = entry(name->parent, name->name);
    if (!record) return std::nullopt;
    return Answer{*std::move(record)};
  }
  const auto* lookup = std::get_if<LookupRead>(&item);
  if (lookup == nullptr) return std::nullopt;
  auto record = entry(lookup->parent, lookup->name);
  if (!record) return std::nullopt;
  if (!*record) return Answer{std::nullopt, std::nullopt};
  auto found = decode_entry(**record);
  if (!found) return std::nullopt;
  auto attr = inode(found->ino);
  if (!attr || !*attr) return std::nullopt;  // an entry whose inode is gone stands for another one by now
  return Answer{*std::move(record), *std::move(attr)};
}

void each_record(const ReadItem& item, const Answer& answer, FunctionRef<void(Ino, const Record&)> inode,
                 FunctionRef<void(Ino, std::string_view, const Record&)> entry) {
  if (answer.empty()) return;
  if (const auto* attr = std::get_if<AttrRead>(&item)) {
    inode(attr->ino, answer[0]);
  } else if (const auto* name = std::get_if<EntryRead>(&item)) {
    entry(name->parent, name->name, answer[0]);
  } else if (const auto* lookup = std::get_if<LookupRead>(&item)) {
    entry(lookup->parent, lookup->name, answer[0]);
    if (!answer[0] || answer.size() < 2) return;
    if (auto found = decode_entry(*answer[0])) inode(found->ino, answer[1]);
  }
}

}  // namespace cider::meta::redis
