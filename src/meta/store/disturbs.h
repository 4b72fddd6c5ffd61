// Which writes change the answer to which questions: for engines that commit several operations at once.
#pragma once

#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta {

// Whether an operation that was given this answer might get another one, or is told another one, after the
// write. Never false where it might; questions that are "not checked" count where locks depend on them.
bool disturbs(const WriteItem& write, const ReadItem& read);

}  // namespace cider::meta
