// The questions of operations (meta/store/reads.h), answered from keys.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/kv/workspace.h"
#include "meta/store/reads.h"

namespace cider::meta::kv {

// Asks the view as seldom as it can: once for most questions, once more for the inodes that entries name.
// What an item promises to be checked is relied on, by whole records. EIO where a record does not decode.
Status answer(const std::vector<ReadItem*>& items, Workspace& work);

Result<std::optional<Attr>> read_attr(Ino ino, Workspace& work, Rely rely);

}  // namespace cider::meta::kv
