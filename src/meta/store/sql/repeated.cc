#include "meta/store/sql/repeated.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace cider::meta::sql {
namespace {

constexpr std::string_view kWhere = " WHERE ";
constexpr std::string_view kLockTerm = "{lock}";

void append_times(std::string_view part, std::string_view between, size_t times, std::string* out) {
  for (size_t i = 0; i < times; ++i) {
    if (i > 0) *out += between;
    *out += part;
  }
}

std::string repeat(std::string_view text, size_t times) {
  std::string out;
  const size_t where = text.find(kWhere);
  if (where == text.npos) {
    const size_t row = text.rfind('(');
    out = text.substr(0, row);
    append_times(text.substr(row), ",", times, &out);
    return out;
  }
  std::string_view condition = text.substr(where + kWhere.size());
  const bool locks = condition.ends_with(kLockTerm);
  if (locks) condition.remove_suffix(kLockTerm.size());
  out = text.substr(0, where + kWhere.size());
  append_times("(" + std::string(condition) + ")", " OR ", times, &out);
  if (locks) out += kLockTerm;
  return out;
}

}  // namespace

const char* repeated(const char* text, size_t times) {
  if (times == 1) return text;
  static std::mutex mutex;
  static std::map<std::pair<const char*, size_t>, std::unique_ptr<std::string>> texts;
  std::lock_guard lock(mutex);
  auto& kept = texts[{text, times}];
  if (!kept) kept = std::make_unique<std::string>(repeat(text, times));
  return kept->c_str();
}

}  // namespace cider::meta::sql
