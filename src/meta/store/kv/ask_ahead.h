// What the operations of a group ask, in few questions for all of them: each by itself would wait for a round
// trip, and again for what it asks when it has that answer.
//
// They are run ahead, for nothing: up to the first question whose answer the workspace does not know. What
// all of them have asked there is asked for at once.
#pragma once

#include <span>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/kv/kv.h"
#include "meta/store/kv/workspace.h"

namespace cider::meta::kv {

// Afterwards `space`, which is of the view and without changes, knows what they are likely to ask. The errors
// of the view.
Status ask_ahead(std::span<const FunctionRef<Status(Workspace&)>> operations, View& view, Workspace* space);

}  // namespace cider::meta::kv
