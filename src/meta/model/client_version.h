// Versions of clients, "1.4.1" or "1.2.0-beta1+build", compared as JuiceFS does.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cider::meta {

// Format: JuiceFS 1.4 pkg/version Semver. Looser than semver.org: minor and patch may be missing, and the
// text after the dash is compared as bytes, so that "1.1.0-A" stands before every pre-release of 1.1.0
// ("-beta1" and so on).
struct ClientVersion {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t patch = 0;
  std::string pre_release;

  // A release stands after its pre-releases.
  std::strong_ordering operator<=>(const ClientVersion& other) const;
  bool operator==(const ClientVersion& other) const = default;
};

// Build information (from the plus sign on) is left out. nullopt if it isn't a version.
std::optional<ClientVersion> parse_client_version(std::string_view text);

// The later of two versions; text that is empty or no version stands before every version.
std::string later_version(const std::string& a, const std::string& b);

}  // namespace cider::meta
