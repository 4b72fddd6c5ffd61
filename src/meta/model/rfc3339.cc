#include "meta/model/rfc3339.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace cider::meta {
namespace {

// The first seconds of these years: years have four digits.
constexpr int64_t kYear0 = -62167219200;
constexpr int64_t kYear10000 = 253402300800;

// Takes `width` digits off the front of `text`.
bool take_number(std::string_view* text, size_t width, int* value) {
  if (text->size() < width) return false;
  *value = 0;
  for (char c : text->substr(0, width)) {
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + (c - '0');
  }
  text->remove_prefix(width);
  return true;
}

bool take_char(std::string_view* text, char c) {
  if (!text->starts_with(c)) return false;
  text->remove_prefix(1);
  return true;
}

// ".6151" as nanoseconds; nothing is 0.
bool take_fraction(std::string_view* text, uint32_t* nsec) {
  *nsec = 0;
  if (!take_char(text, '.')) return true;
  size_t digits = 0;
  for (; !text->empty() && text->front() >= '0' && text->front() <= '9'; digits++) {
    if (digits < 9) *nsec = *nsec * 10 + static_cast<uint32_t>(text->front() - '0');
    text->remove_prefix(1);
  }
  for (size_t i = digits; i < 9; i++) *nsec *= 10;
  return digits > 0;
}

// "Z" or "+05:45" as seconds east of UTC.
bool take_offset(std::string_view* text, int* seconds) {
  *seconds = 0;
  if (take_char(text, 'Z')) return true;
  const bool west = text->starts_with('-');
  int hours = 0, minutes = 0;
  if (!take_char(text, west ? '-' : '+') || !take_number(text, 2, &hours) || !take_char(text, ':') ||
      !take_number(text, 2, &minutes) || hours > 23 || minutes > 59) {
    return false;
  }
  *seconds = (hours * 60 + minutes) * (west ? -60 : 60);
  return true;
}

}  // namespace

std::string format_rfc3339(Time time) {
  const time_t sec = time.sec;
  tm local{};
  localtime_r(&sec, &local);
  char text[96];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", local.tm_year + 1900, local.tm_mon + 1,
                local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
  std::string out = text;
  if (time.nsec != 0) {
    std::snprintf(text, sizeof text, ".%09u", time.nsec);
    out += text;
    out.erase(out.find_last_not_of('0') + 1);
  }
  const long minutes = std::labs(local.tm_gmtoff) / 60;
  if (local.tm_gmtoff == 0) return out + "Z";
  std::snprintf(text, sizeof text, "%c%02ld:%02ld", local.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                minutes % 60);
  return out + text;
}

std::optional<Time> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  int y = 0, mon = 0, d = 0, h = 0, min = 0, s = 0, offset = 0;
  Time time;
  const bool complete = take_number(&text, 4, &y) && take_char(&text, '-') && take_number(&text, 2, &mon) &&
                        take_char(&text, '-') && take_number(&text, 2, &d) && take_char(&text, 'T') &&
                        take_number(&text, 2, &h) && take_char(&text, ':') && take_number(&text, 2, &min) &&
                        take_char(&text, ':') && take_number(&text, 2, &s) &&
                        take_fraction(&text, &time.nsec) && take_offset(&text, &offset) && text.empty();
  const year_month_day date{year(y), month(static_cast<unsigned>(mon)), day(static_cast<unsigned>(d))};
  if (!complete || !date.ok() || h > 23 || min > 59 || s > 59) return std::nullopt;
  const int64_t days_since_1970 = sys_days(date).time_since_epoch().count();
  time.sec = days_since_1970 * 86400 + h * 3600 + min * 60 + s - offset;
  if (time.sec < kYear0 || time.sec >= kYear10000) return std::nullopt;
  return time;
}

}  // namespace cider::meta
