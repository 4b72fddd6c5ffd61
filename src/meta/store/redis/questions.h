// The questions of a transaction (meta/store/reads.h) as checks of the script, and its answers as their
// values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/redis/resp.h"
#include "meta/store/redis/steps.h"

namespace cider::meta::redis {

// What the script answered to one check: nothing, one text, or several (each may be missing).
using Answer = std::vector<std::optional<std::string>>;

Answer answer_of(const Reply& reply);

// How many checks a question takes: one, or one per chunk of a range.
size_t checks_of(const ReadItem& item);
// The first of them by name: equal for equal questions.
std::string name_of(const ReadItem& item);

// Adds the checks of `item`; `seen` holds its answers, or nothing where it is only asked.
void add_checks(const ReadItem& item, const std::vector<Answer>* seen, Steps* steps);
// The same for an answer that was a hint: what the operation tells its caller is checked, too.
void add_hint_checks(const ReadItem& item, const std::vector<Answer>& seen, Steps* steps);
// EIO where a record does not decode.
Status take_answers(ReadItem* item, const std::vector<Answer>& answers);

}  // namespace cider::meta::redis
