// What decorators have in common: a store that passes every call on. A decorator overrides what it changes.
#pragma once

#include <memory>
#include <utility>

#include "object/object_store.h"

namespace cider::object {

// Thread-safe as the inner store is.
class ForwardingStore : public ObjectStore {
 public:
  explicit ForwardingStore(std::unique_ptr<ObjectStore> inner) : inner_(std::move(inner)) {}

  std::string name() const override { return inner_->name(); }
  Status create() override { return inner_->create(); }
  Status check_bucket() override { return inner_->check_bucket(); }
  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return inner_->get(key, offset, out, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    return inner_->get_in_order(key, offset, out, arrived, std::move(stop));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return inner_->get_whole(key, out, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return inner_->get_all(key, limit, std::move(stop));
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return inner_->put(key, data, std::move(stop));
  }
  Status remove(std::string_view key) override { return inner_->remove(key); }
  Status remove_many(std::span<const std::string> keys) override { return inner_->remove_many(keys); }
  Result<ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return inner_->list(prefix, after, limit);
  }
  Status copy(std::string_view from, std::string_view to, std::stop_token stop) override {
    return inner_->copy(from, to, std::move(stop));
  }
  Result<std::string> create_upload(std::string_view key, std::stop_token stop) override {
    return inner_->create_upload(key, std::move(stop));
  }
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override {
    return inner_->upload_part(key, id, number, data, std::move(stop));
  }
  Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                 std::string_view from, uint64_t offset, uint64_t size,
                                 std::stop_token stop) override {
    return inner_->copy_part(key, id, number, from, offset, size, std::move(stop));
  }
  Status complete_upload(std::string_view key, const std::string& id, std::span<const UploadedPart> parts,
                         std::stop_token stop) override {
    return inner_->complete_upload(key, id, parts, std::move(stop));
  }
  Status abort_upload(std::string_view key, const std::string& id) override {
    return inner_->abort_upload(key, id);
  }
  Result<std::vector<PendingUpload>> list_uploads(std::string_view prefix) override {
    return inner_->list_uploads(prefix);
  }
  Status sync(std::span<const std::string> keys) override { return inner_->sync(keys); }
  Status remove_empty_folders(std::string_view folder) override {
    return inner_->remove_empty_folders(folder);
  }

 protected:
  ObjectStore& inner() const { return *inner_; }

 private:
  const std::unique_ptr<ObjectStore> inner_;
};

}  // namespace cider::object
