#include "meta/store/client_usage.h"

#include <sys/random.h>

#include <cstdlib>

namespace cider::meta {

std::string random_client_name() {
  std::string bytes(kClientNameSize, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  return bytes;
}

UsageRead usage_of(std::span<const WriteItem> writes) {
  UsageRead sum;
  for (const WriteItem& item : writes) {
    const auto* usage = std::get_if<AddUsage>(&item);
    if (!usage) continue;
    sum.space += usage->space;
    sum.inodes += usage->inodes;
  }
  return sum;
}

}  // namespace cider::meta
