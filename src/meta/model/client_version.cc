#include "meta/model/client_version.h"

#include <charconv>

#include "base/version.h"
#include "meta/model/volume.h"

namespace cider::meta {
namespace {

bool parse_number(std::string_view text, uint64_t* value) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && stop == end;
}

std::unexpected<Error> not_allowed(std::string_view what, const std::string& limit) {
  return fail(EPERM, "this client counts as JuiceFS " + std::string(kCompatibleVersion) +
                         ", but the volume " + std::string(what) + " " + limit);
}

}  // namespace

std::strong_ordering ClientVersion::operator<=>(const ClientVersion& other) const {
  if (auto order = major <=> other.major; order != 0) return order;
  if (auto order = minor <=> other.minor; order != 0) return order;
  if (auto order = patch <=> other.patch; order != 0) return order;
  if (pre_release.empty() != other.pre_release.empty()) {
    return pre_release.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  return pre_release <=> other.pre_release;
}

std::optional<ClientVersion> parse_client_version(std::string_view text) {
  ClientVersion version;
  if (size_t plus = text.find('+'); plus != text.npos && plus > 0) text = text.substr(0, plus);
  if (size_t dash = text.find('-'); dash != text.npos && dash > 0) {
    version.pre_release = text.substr(dash + 1);
    text = text.substr(0, dash);
  }
  for (uint64_t* part : {&version.major, &version.minor, &version.patch}) {
    const size_t dot = text.find('.');
    if (!parse_number(text.substr(0, dot), part)) return std::nullopt;
    if (dot == text.npos) return version;
    text.remove_prefix(dot + 1);
  }
  return std::nullopt;  // a fourth part
}

std::string later_version(const std::string& a, const std::string& b) {
  return parse_client_version(a) < parse_client_version(b) ? b : a;
}

Status check_client_version(const Volume& volume) {
  constexpr int kMaxMetaVersion = 1;
  if (volume.meta_version > kMaxMetaVersion) {
    return fail(EPERM, "the volume has metadata version " + std::to_string(volume.meta_version) +
                           ", this client knows versions up to " + std::to_string(kMaxMetaVersion));
  }
  const auto ours = parse_client_version(kCompatibleVersion);
  if (const std::string& min = volume.min_client_version; !min.empty()) {
    const auto limit = parse_client_version(min);
    if (!limit) return not_allowed("names a lowest version that can't be read:", min);
    if (*ours < *limit) return not_allowed("allows none below", min);
  }
  if (const std::string& max = volume.max_client_version; !max.empty()) {
    const auto limit = parse_client_version(max);
    if (!limit) return not_allowed("names a highest version that can't be read:", max);
    if (*ours > *limit) return not_allowed("allows none above", max);
  }
  return {};
}

}  // namespace cider::meta
