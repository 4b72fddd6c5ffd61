#include "meta/model/entry.h"

#include <chrono>
#include <cstdio>

#include "base/bytes.h"

namespace cider::meta {
namespace {

constexpr size_t kRecordSize = 9;
constexpr int64_t kHour = 3600;

// The number in all of `digits`; -1 if it isn't one.
int parse_number(std::string_view digits) {
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string encode_entry(const Entry& entry) {
  return ByteWriter().u8(static_cast<uint8_t>(entry.type)).u64(entry.ino).take();
}

Result<Entry> decode_entry(std::string_view record) {
  if (record.size() != kRecordSize) {
    return fail(EIO, "directory entry of " + std::to_string(record.size()) + " bytes instead of 9");
  }
  ByteReader in(record);
  Entry entry;
  const uint8_t type = in.u8();
  entry.type = static_cast<FileType>(type);
  entry.ino = in.u64();
  if (type_bits(entry.type) == 0)
    return fail(EIO, "directory entry has the unknown type " + std::to_string(type));
  return entry;
}

Status check_name(std::string_view name) {
  if (name.empty()) return fail(ENOENT);
  if (name.size() > kMaxName) return fail(ENAMETOOLONG);
  if (name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
    return fail(EINVAL);
  return {};
}

std::string trash_entry_name(Ino parent, Ino ino, std::string_view name) {
  std::string out = std::to_string(parent) + "-" + std::to_string(ino) + "-";
  out.append(name);
  if (out.size() > kMaxName) out.resize(kMaxName);  // in bytes, even within a character, as JuiceFS cuts
  return out;
}

std::string trash_folder_name(Time now) {
  using namespace std::chrono;
  const sys_seconds instant{seconds(now.sec)};
  const sys_days midnight = floor<days>(instant);
  const year_month_day date{midnight};
  char out[48];
  std::snprintf(out, sizeof out, "%04d-%02u-%02u-%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>((instant - midnight) / hours(1)));
  return out;
}

bool parse_trash_folder_name(std::string_view name, Time* hour) {
  using namespace std::chrono;
  if (name.size() != 13 || name[4] != '-' || name[7] != '-' || name[10] != '-') return false;
  const int y = parse_number(name.substr(0, 4));
  const int m = parse_number(name.substr(5, 2));
  const int d = parse_number(name.substr(8, 2));
  const int h = parse_number(name.substr(11, 2));
  if (y < 0 || m < 0 || d < 0 || h < 0 || h > 23) return false;
  const year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!date.ok()) return false;
  *hour = Time{int64_t{sys_days(date).time_since_epoch().count()} * 24 * kHour + h * kHour, 0};
  return true;
}

}  // namespace cider::meta
