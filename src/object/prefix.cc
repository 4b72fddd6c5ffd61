// A store inside a store: every key below one prefix.
#include <vector>

#include "object/object_store.h"

namespace cider::object {
namespace {

class PrefixStore final : public ObjectStore {
 public:
  PrefixStore(std::unique_ptr<ObjectStore> inner, std::string prefix)
      : inner_(std::move(inner)), prefix_(std::move(prefix)) {}

  std::string name() const override { return inner_->name() + prefix_; }
  Status create() override { return inner_->create(); }
  Status check_bucket() override { return inner_->check_bucket(); }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return inner_->get(full(key), offset, out, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    return inner_->get_in_order(full(key), offset, out, arrived, std::move(stop));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return inner_->get_whole(full(key), out, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return inner_->get_all(full(key), limit, std::move(stop));
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return inner_->put(full(key), data, std::move(stop));
  }
  Status remove(std::string_view key) override { return inner_->remove(full(key)); }
  Status remove_many(std::span<const std::string> keys) override {
    return inner_->remove_many(full_keys(keys));
  }

  Result<ObjectInfo> head(std::string_view key) override {
    ObjectInfo info = TRY(inner_->head(full(key)));
    info.key.erase(0, prefix_.size());
    return info;
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    auto found = TRY(inner_->list(full(prefix), after.empty() ? std::string() : full(after), limit));
    for (ObjectInfo& info : found) info.key.erase(0, prefix_.size());
    return found;
  }

  Status copy(std::string_view from, std::string_view to, std::stop_token stop) override {
    return inner_->copy(full(from), full(to), std::move(stop));
  }
  Result<std::string> create_upload(std::string_view key, std::stop_token stop) override {
    return inner_->create_upload(full(key), std::move(stop));
  }
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override {
    return inner_->upload_part(full(key), id, number, data, std::move(stop));
  }
  Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                 std::string_view from, uint64_t offset, uint64_t size,
                                 std::stop_token stop) override {
    return inner_->copy_part(full(key), id, number, full(from), offset, size, std::move(stop));
  }
  Status complete_upload(std::string_view key, const std::string& id, std::span<const UploadedPart> parts,
                         std::stop_token stop) override {
    return inner_->complete_upload(full(key), id, parts, std::move(stop));
  }
  Status abort_upload(std::string_view key, const std::string& id) override {
    return inner_->abort_upload(full(key), id);
  }
  Result<std::vector<PendingUpload>> list_uploads(std::string_view prefix) override {
    auto found = TRY(inner_->list_uploads(full(prefix)));
    for (PendingUpload& upload : found) upload.key.erase(0, prefix_.size());
    return found;
  }

  Status sync(std::span<const std::string> keys) override { return inner_->sync(full_keys(keys)); }

  Status remove_empty_folders(std::string_view folder) override {
    std::string full_folder = full(folder);
    if (full_folder.ends_with('/')) full_folder.pop_back();
    return inner_->remove_empty_folders(full_folder);
  }

 private:
  std::string full(std::string_view key) const { return prefix_ + std::string(key); }
  std::vector<std::string> full_keys(std::span<const std::string> keys) const {
    std::vector<std::string> all;
    all.reserve(keys.size());
    for (const std::string& key : keys) all.push_back(full(key));
    return all;
  }

  const std::unique_ptr<ObjectStore> inner_;
  const std::string prefix_;
};

}  // namespace

std::unique_ptr<ObjectStore> with_prefix(std::unique_ptr<ObjectStore> inner, std::string prefix) {
  return std::make_unique<PrefixStore>(std::move(inner), std::move(prefix));
}

}  // namespace cider::object
