// Which release this is, and which JuiceFS release it stands for on a volume.
#pragma once

#include <string>
#include <string_view>

namespace cider {

// Volumes name the lowest and highest client that may use them; this program is judged as this release of
// JuiceFS.
inline constexpr std::string_view kCompatibleVersion = "1.4.1";

// The release of CiderFS, from the build: "0.1.0".
std::string_view ciderfs_version();

// What a session records: kCompatibleVersion with ours as build information, "1.4.1+ciderfs.0.1.0". JuiceFS's
// tools compare the part before the plus sign with the volume's limits.
std::string client_version();
// Whether a session of this version is of JuiceFS; one that tells none is of nobody in particular.
bool is_juicefs_version(std::string_view version);

}  // namespace cider
