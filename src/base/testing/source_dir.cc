#include "base/testing/source_dir.h"

namespace cider::testing {

const char* source_dir() {
  return CIDER_SOURCE_DIR;
}

}  // namespace cider::testing
