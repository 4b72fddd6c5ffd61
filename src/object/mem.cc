// Objects in memory, for tests and for trying things out. Each open store is one of its own.
#include "object/drivers.h"

#include <cstring>
#include <map>
#include <mutex>

#include "base/clock.h"

namespace cider::object {
namespace {

class MemStore final : public ObjectStore {
 public:
  std::string name() const override { return "mem://"; }
  Status create() override { return {}; }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token) override {
    auto object = TRY(find(key));
    if (offset + out.size() > object.bytes->size()) {
      return fail(EIO, short_object(key, object.bytes->size(), offset + out.size()));
    }
    std::memcpy(out.data(), object.bytes->data() + offset, out.size());
    return {};
  }

  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token) override {
    auto object = TRY(find(key));
    if (object.bytes->size() > limit) return fail(EFBIG, large_object(key, object.bytes->size(), limit));
    return *object.bytes;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token) override {
    TRY(check_key(key));
    std::string bytes;
    bytes.reserve(total_size(data));
    for (const Buffer& piece : data) bytes.append(piece.text());
    Object object{std::make_shared<const std::string>(std::move(bytes)), Clock::system().now()};
    std::lock_guard lock(mutex_);
    objects_.insert_or_assign(std::string(key), std::move(object));
    return {};
  }

  Status remove(std::string_view key) override {
    TRY(check_key(key));
    std::lock_guard lock(mutex_);
    auto it = objects_.find(key);
    if (it != objects_.end()) objects_.erase(it);
    return {};
  }

  Result<ObjectInfo> head(std::string_view key) override {
    auto object = TRY(find(key));
    return ObjectInfo{std::string(key), object.bytes->size(), object.mtime};
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    std::lock_guard lock(mutex_);
    std::vector<ObjectInfo> found;
    auto it = after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(after);
    for (; it != objects_.end() && found.size() < limit && it->first.starts_with(prefix); ++it) {
      found.push_back({it->first, it->second.bytes->size(), it->second.mtime});
    }
    return found;
  }

 private:
  struct Object {
    std::shared_ptr<const std::string> bytes;
    Time mtime;
  };

  Result<Object> find(std::string_view key) {
    TRY(check_key(key));
    std::lock_guard lock(mutex_);
    auto it = objects_.find(key);
    if (it == objects_.end()) return fail(ENOENT, no_object(key));
    return it->second;
  }

  std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_;
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_mem(const StoreConfig&) {
  return std::make_unique<MemStore>();
}

}  // namespace cider::object
