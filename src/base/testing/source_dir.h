// Where the tests' sources stand, for what lies beside them. For tests only.
#pragma once

namespace cider::testing {

const char* source_dir();

}  // namespace cider::testing
