// When staged blocks may be uploaded: --upload-hours and --upload-delay.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace cider::chunk {

// Hours of the local day; begin == end means the whole day, begin > end a time over midnight.
struct UploadHours {
  int begin = 0;
  int end = 0;

  bool contains(Time now) const;
};

// "0,6" or "22-6"; empty: always. EINVAL otherwise.
Result<UploadHours> parse_upload_hours(std::string_view text);

}  // namespace cider::chunk
