#include "chunk/upload_window.h"

#include <ctime>

#include "base/clock.h"
#include "base/units.h"

namespace cider::chunk {

bool UploadHours::contains(Time now) const {
  if (begin == end) return true;
  const auto seconds = static_cast<time_t>(to_nanos(now) / 1'000'000'000);
  tm local{};
  ::localtime_r(&seconds, &local);
  const int hour = local.tm_hour;
  return begin < end ? hour >= begin && hour < end : hour >= begin || hour < end;
}

Result<UploadHours> parse_upload_hours(std::string_view text) {
  if (text.empty()) return UploadHours{};
  const size_t cut = text.find_first_of(",-");
  if (cut == std::string_view::npos) return fail(EINVAL);
  const int64_t begin = TRY(parse_integer(text.substr(0, cut)));
  const int64_t end = TRY(parse_integer(text.substr(cut + 1)));
  if (begin < 0 || begin > 23 || end < 0 || end > 23) return fail(EINVAL);
  return UploadHours{static_cast<int>(begin), static_cast<int>(end)};
}

}  // namespace cider::chunk
