// PatchNode as one UPDATE.
#pragma once

#include "meta/store/sql/dialect.h"
#include "meta/store/sql/statement.h"
#include "meta/store/writes.h"

namespace cider::meta::sql {

// False where the patch changes nothing and answers nothing: there is no statement then.
bool changes_anything(const PatchNode& patch);
Statement patch_statement(const PatchNode& patch, const Dialect& dialect);

}  // namespace cider::meta::sql
