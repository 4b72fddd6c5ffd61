// A store whose place another may take while it is in use: when the volume's setting has new keys.
#pragma once

#include <memory>
#include <mutex>

#include "object/object_store.h"

namespace cider::object {

// Thread-safe. Requests that have begun end with the store they began with.
class ReplaceableStore final : public ObjectStore {
 public:
  explicit ReplaceableStore(std::unique_ptr<ObjectStore> first) : store_(std::move(first)) {}

  void replace(std::unique_ptr<ObjectStore> next) {
    std::shared_ptr<ObjectStore> last(std::move(next));
    std::lock_guard lock(mutex_);
    store_.swap(last);
  }

  std::string name() const override { return now()->name(); }
  Status create() override { return now()->create(); }
  Status check_bucket() override { return now()->check_bucket(); }
  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return now()->get(key, offset, out, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    return now()->get_in_order(key, offset, out, arrived, std::move(stop));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return now()->get_whole(key, out, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return now()->get_all(key, limit, std::move(stop));
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return now()->put(key, data, std::move(stop));
  }
  Status remove(std::string_view key) override { return now()->remove(key); }
  Status remove_many(std::span<const std::string> keys) override { return now()->remove_many(keys); }
  Result<ObjectInfo> head(std::string_view key) override { return now()->head(key); }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return now()->list(prefix, after, limit);
  }
  Status sync(std::span<const std::string> keys) override { return now()->sync(keys); }
  Status remove_empty_folders(std::string_view folder) override {
    return now()->remove_empty_folders(folder);
  }

 private:
  std::shared_ptr<ObjectStore> now() const {
    std::lock_guard lock(mutex_);
    return store_;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<ObjectStore> store_;
};

}  // namespace cider::object
