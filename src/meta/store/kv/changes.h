// The writes of operations (meta/store/writes.h) as changes of keys.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/kv/workspace.h"
#include "meta/store/writes.h"

namespace cider::meta::kv {

// Loads at once what the writes will look at.
Status load_for(const std::vector<WriteItem>& writes, Workspace& work);

// All writes of an operation. kInodeTaken, EEXIST as the writes say; EIO where the read set
// promised something else. After an error the workspace has to undo.
Status apply_all(const std::vector<WriteItem>& writes, Workspace& work);

}  // namespace cider::meta::kv
