// Whether a history of concurrent operations could have come from one client at a time. For tests only.
#pragma once

#include <optional>
#include <string>

#include "meta/testing/name_history.h"

namespace cider::meta::testing {

// Looks for an order of the operations in which none comes before one that had returned when it was invoked,
// and each answers what the sequential specification gives; all names are absent at first. An operation of
// unknown outcome may take any place after its invocation, or none. Answers nullopt if there is an order,
// else what was wrong, with the history.
//
// The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's memory of
// what was tried ("Testing for linearizability", 2017): a set of operations done and the names they left.
std::optional<std::string> why_not_linearizable(NameHistory history, bool has_trash = false);

}  // namespace cider::meta::testing
