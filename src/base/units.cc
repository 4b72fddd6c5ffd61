#include "base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

namespace cider {
namespace {

constexpr std::string_view kUnits = "BKMGTPE";

std::unexpected<Error> not_a(std::string_view what, std::string_view text, std::string_view examples) {
  return fail(EINVAL, "\"" + std::string(text) + "\" is not a " + std::string(what) + "; write it like " +
                          std::string(examples));
}

// Takes a number off the front of `text`; nullopt where there is none. No sign, no exponent, no "inf".
std::optional<double> take_number(std::string_view* text) {
  const auto starts_number = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  if (text->empty() || !starts_number(text->front())) return std::nullopt;
  double value = 0;
  auto [end, error] =
      std::from_chars(text->data(), text->data() + text->size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

// Takes a unit of time off the front; nanoseconds per unit.
std::optional<double> take_time_unit(std::string_view* text) {
  constexpr std::array<std::pair<std::string_view, double>, 7> kTimeUnits = {
      {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}};
  for (const auto& [name, nanos] : kTimeUnits) {
    if (!text->starts_with(name)) continue;
    text->remove_prefix(name.size());
    return nanos;
  }
  return std::nullopt;
}

std::string format(const char* pattern, double value) {
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), pattern, value);
  return out.data();
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text, char unit) {
  constexpr std::string_view kExamples = "4M, 1.5G or 300";
  std::string_view rest = text;
  std::optional<double> number = take_number(&rest);
  if (!number) return not_a("size", text, kExamples);
  if (!rest.empty()) {
    unit = static_cast<char>(std::toupper(static_cast<unsigned char>(rest.front())));
    rest.remove_prefix(1);
    bool spelled_out = rest.empty() || (unit != 'B' && (rest == "B" || rest == "iB"));
    if (!spelled_out) return not_a("size", text, kExamples);
  }
  size_t power = kUnits.find(unit);
  if (power == std::string_view::npos) return not_a("size", text, kExamples);
  double bytes = std::ldexp(*number, static_cast<int>(10 * power));
  if (!(bytes < 0x1p63)) return fail(EINVAL, "size \"" + std::string(text) + "\" is too large");
  return static_cast<uint64_t>(bytes);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr std::string_view kExamples = "12s, 100ms, 1h30m or 1.5 (seconds)";
  std::string_view rest = text;
  double nanos = 0;
  do {
    std::optional<double> number = take_number(&rest);
    if (!number) return not_a("duration", text, kExamples);
    bool bare = rest.empty() && nanos == 0;
    std::optional<double> unit = bare ? 1e9 : take_time_unit(&rest);
    if (!unit) return not_a("duration", text, kExamples);
    nanos += *number * *unit;
  } while (!rest.empty());
  if (!(nanos < 0x1p63)) return fail(EINVAL, "duration \"" + std::string(text) + "\" is too long");
  return std::chrono::nanoseconds(static_cast<int64_t>(std::llround(nanos)));
}

Result<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return not_a("whole number", text, "10");
  return value;
}

std::string short_size(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  size_t power = 0;
  while (value >= 1024 && power + 1 < kUnits.size()) {
    value /= 1024;
    ++power;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  return format(value < 10 ? "%.1f " : "%.0f ", value) + kUnits[power] + "iB";
}

std::string long_size(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " Bytes";
  uint64_t scaled = bytes;
  size_t power = 1;
  while (power + 1 < kUnits.size() && scaled >= 1 << 20) {
    scaled >>= 10;
    ++power;
  }
  return format("%.2f ", static_cast<double>(scaled) / 1024) + kUnits[power] + "iB (" +
         std::to_string(bytes) + " Bytes)";
}

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace cider
