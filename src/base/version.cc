#include "base/version.h"

namespace cider {
namespace {
constexpr std::string_view kMark = "+ciderfs.";
}  // namespace

std::string_view ciderfs_version() {
  return CIDER_VERSION;
}

std::string client_version() {
  return std::string(kCompatibleVersion).append(kMark).append(ciderfs_version());
}

bool is_juicefs_version(std::string_view version) {
  return !version.empty() && version.find(kMark) == version.npos;
}

}  // namespace cider
