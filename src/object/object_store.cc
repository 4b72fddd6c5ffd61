// What a store does that has no better way of its own.
#include "object/object_store.h"

#include <cstring>

namespace cider::object {

Status ObjectStore::get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                                 FunctionRef<void(size_t)> arrived, std::stop_token stop) {
  TRY(get(key, offset, out, std::move(stop)));
  arrived(out.size());
  return {};
}

Result<size_t> ObjectStore::get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) {
  const std::string whole = TRY(get_all(key, out.size(), std::move(stop)));
  std::memcpy(out.data(), whole.data(), whole.size());
  return whole.size();
}

Status ObjectStore::remove_many(std::span<const std::string> keys) {
  Status first;
  for (const std::string& key : keys) {
    if (Status status = remove(key); !status && first) first = std::move(status);
  }
  return first;
}

}  // namespace cider::object
