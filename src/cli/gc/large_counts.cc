#include "cli/gc/large_counts.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "base/log.h"

namespace cider::cli {
namespace {

constexpr size_t kMostBytes = 64 << 20;

}  // namespace

Result<LargeCounts> LargeCounts::load(object::ObjectStore& store) {
  LargeCounts counts;
  const Result<std::string> text = store.get_all(kKey, kMostBytes, {});
  if (!text && text.error().code == ENOENT) return counts;
  if (!text) return fail(text.error());
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    uint64_t id = 0;
    uint32_t size = 0;
    Sight sight;
    if (words >> id >> size >> sight.excess >> sight.first && sight.excess > 0) {
      counts.before_[{id, size}] = sight;
      continue;
    }
    log::warning("object " + std::string(kKey) +
                 " can't be understood: counts that are too large are taken as seen for the first time");
    counts.before_.clear();
    break;
  }
  return counts;
}

int64_t LargeCounts::see(uint64_t id, uint32_t size, int64_t excess, int64_t now, int64_t apart) {
  Sight sight{excess, now};
  int64_t may_go = 0;
  if (const auto before = before_.find({id, size}); before != before_.end() && before->second.first <= now) {
    sight = {std::min(excess, before->second.excess), before->second.first};
    if (now - sight.first >= apart) may_go = sight.excess;
  }
  seen_[{id, size}] = sight;
  return may_go;
}

Status LargeCounts::save(object::ObjectStore& store) const {
  if (seen_.empty()) return before_.empty() ? Status{} : store.remove(kKey);
  std::ostringstream lines;
  for (const auto& [slice, sight] : seen_)
    lines << slice.first << ' ' << slice.second << ' ' << sight.excess << ' ' << sight.first << '\n';
  const std::string text = lines.str();
  Buffer buffer = Buffer::allocate(text.size(), nullptr);
  std::memcpy(buffer.mutable_data(), text.data(), text.size());
  return store.put(kKey, {buffer}, {});
}

}  // namespace cider::cli
