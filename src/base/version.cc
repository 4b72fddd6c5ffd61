#include "base/version.h"

namespace cider {

std::string_view ciderfs_version() {
  return CIDER_VERSION;
}

std::string client_version() {
  return std::string(kCompatibleVersion) + "+ciderfs." + std::string(ciderfs_version());
}

}  // namespace cider
