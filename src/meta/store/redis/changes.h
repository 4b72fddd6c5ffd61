// The writes of a transaction (meta/store/writes.h) as steps of the script.
#pragma once

#include <vector>

#include "meta/store/redis/steps.h"
#include "meta/store/writes.h"

namespace cider::meta::redis {

// Adds what must hold besides the read set: new ids unused, patched inodes there. Before any add_write().
void add_guards(const std::vector<WriteItem>& writes, Steps* steps);
void add_write(const WriteItem& item, Steps* steps);

}  // namespace cider::meta::redis
