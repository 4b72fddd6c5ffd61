#include "meta/store/kv/tikv/region_key.h"

#include "base/bytes.h"

namespace cider::meta::kv {
namespace {

constexpr size_t kGroup = 8;
constexpr unsigned kFull = 0xFF;

}  // namespace

std::string to_region_key(std::string_view key) {
  std::string out;
  out.reserve((key.size() / kGroup + 1) * (kGroup + 1));
  while (true) {
    const std::string_view group = key.substr(0, kGroup);
    const size_t padding = kGroup - group.size();
    out.append(group).append(padding, '\0').push_back(static_cast<char>(kFull - padding));
    if (padding > 0) return out;
    key.remove_prefix(kGroup);
  }
}

Result<std::string> from_region_key(std::string_view key) {
  std::string out;
  for (std::string_view rest = key; rest.size() > kGroup; rest.remove_prefix(kGroup + 1)) {
    const size_t padding = kFull - static_cast<unsigned char>(rest[kGroup]);
    if (padding > kGroup) break;
    out += rest.substr(0, kGroup - padding);
    if (padding > 0 && rest.size() == kGroup + 1) return out;
    if (padding > 0) break;
  }
  return fail(EIO, "the border of a region has an unknown form: " + to_hex(key));
}

}  // namespace cider::meta::kv
