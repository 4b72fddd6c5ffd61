// The records that clients keep, those of inodes and entries: which of them answer a question, and which an
// answer holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/types.h"
#include "meta/store/redis/questions.h"

namespace cider::meta::redis {

using Record = std::optional<std::string>;  // its bytes; nullopt: known to be absent

// nullopt where a record is not known, and for other questions. The functions tell what is known of an inode,
// and of an entry of a directory.
std::optional<Answer> answer_from_records(const ReadItem& item, FunctionRef<std::optional<Record>(Ino)> inode,
                                          FunctionRef<std::optional<Record>(Ino, std::string_view)> entry);

// Hands out the records of an answer.
void each_record(const ReadItem& item, const Answer& answer, FunctionRef<void(Ino, const Record&)> inode,
                 FunctionRef<void(Ino, std::string_view, const Record&)> entry);

}  // namespace cider::meta::redis
