#include "object/shards.h"

#include <algorithm>

#include "base/url.h"

namespace cider::object {
namespace {

class ShardedStore final : public ObjectStore {
 public:
  explicit ShardedStore(std::vector<std::unique_ptr<ObjectStore>> stores) : stores_(std::move(stores)) {}

  std::string name() const override {
    return "shard" + std::to_string(stores_.size()) + "://" + stores_.front()->name();
  }
  Status create() override {
    for (const auto& store : stores_) TRY(store->create());
    return {};
  }
  Status check_bucket() override {
    for (const auto& store : stores_) TRY(store->check_bucket());
    return {};
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return of(key).get(key, offset, out, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    return of(key).get_in_order(key, offset, out, arrived, std::move(stop));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return of(key).get_whole(key, out, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return of(key).get_all(key, limit, std::move(stop));
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return of(key).put(key, data, std::move(stop));
  }
  Status remove(std::string_view key) override { return of(key).remove(key); }
  Result<ObjectInfo> head(std::string_view key) override { return of(key).head(key); }
  Status copy(std::string_view from, std::string_view to, std::stop_token stop) override {
    if (&of(from) == &of(to)) return of(from).copy(from, to, std::move(stop));
    return ObjectStore::copy(from, to, std::move(stop));
  }
  Result<std::string> create_upload(std::string_view key, std::stop_token stop) override {
    return of(key).create_upload(key, std::move(stop));
  }
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override {
    return of(key).upload_part(key, id, number, data, std::move(stop));
  }
  Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                 std::string_view from, uint64_t offset, uint64_t size,
                                 std::stop_token stop) override {
    if (&of(from) != &of(key)) return fail(ENOTSUP, "a part can't be copied from another shard");
    return of(key).copy_part(key, id, number, from, offset, size, std::move(stop));
  }
  Status complete_upload(std::string_view key, const std::string& id, std::span<const UploadedPart> parts,
                         std::stop_token stop) override {
    return of(key).complete_upload(key, id, parts, std::move(stop));
  }
  Status abort_upload(std::string_view key, const std::string& id) override {
    return of(key).abort_upload(key, id);
  }
  Result<std::vector<PendingUpload>> list_uploads(std::string_view prefix) override {
    std::vector<PendingUpload> all;
    for (const auto& store : stores_) {
      for (PendingUpload& upload : TRY(store->list_uploads(prefix))) all.push_back(std::move(upload));
    }
    std::ranges::sort(all, {}, &PendingUpload::key);
    return all;
  }

  Status remove_many(std::span<const std::string> keys) override {
    return by_shard(
        keys, [](ObjectStore& store, std::span<const std::string> own) { return store.remove_many(own); });
  }
  Status sync(std::span<const std::string> keys) override {
    return by_shard(keys,
                    [](ObjectStore& store, std::span<const std::string> own) { return store.sync(own); });
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override;

  Status remove_empty_folders(std::string_view folder) override {
    Status first;
    for (const auto& store : stores_) {
      if (Status done = store->remove_empty_folders(folder); !done && first) first = std::move(done);
    }
    return first;
  }

 private:
  ObjectStore& of(std::string_view key) const { return *stores_[shard_of(key, stores_.size())]; }

  // Calls `request` once for each store that holds some of `keys`; answers the first error.
  template <class Request>
  Status by_shard(std::span<const std::string> keys, Request request) const {
    std::vector<std::vector<std::string>> own(stores_.size());
    for (const std::string& key : keys) own[shard_of(key, stores_.size())].push_back(key);
    Status first;
    for (size_t i = 0; i < stores_.size(); i++) {
      if (own[i].empty()) continue;
      if (Status done = request(*stores_[i], own[i]); !done && first) first = std::move(done);
    }
    return first;
  }

  const std::vector<std::unique_ptr<ObjectStore>> stores_;
};

// A page of each store is merged. The page of one store may end before that of another: what lies beyond the
// first end is not used, as that store may have more before it. A page takes an even share of `limit` and
// some, as hashes spread keys evenly; a store whose page runs out is asked again.
Result<std::vector<ObjectInfo>> ShardedStore::list(std::string_view prefix, std::string_view after,
                                                   size_t limit) {
  struct Page {
    std::vector<ObjectInfo> objects;
    size_t next = 0;
    bool last = false;  // nothing follows it
  };
  if (limit == 0) return std::vector<ObjectInfo>();
  const size_t share = std::min(limit, limit / stores_.size() + limit / stores_.size() / 8 + 16);
  std::vector<Page> pages(stores_.size());
  const auto fill = [&](size_t i, const std::string& from) -> Status {
    Page& page = pages[i];
    page.objects = TRY(stores_[i]->list(prefix, from, share));
    page.next = 0;
    page.last = page.objects.size() < share;
    return {};
  };
  const auto greater = [&](size_t a, size_t b) {
    return pages[a].objects[pages[a].next].key > pages[b].objects[pages[b].next].key;
  };
  std::vector<size_t> heap;
  for (size_t i = 0; i < stores_.size(); i++) {
    TRY(fill(i, std::string(after)));
    if (!pages[i].objects.empty()) heap.push_back(i);
  }
  std::ranges::make_heap(heap, greater);
  std::vector<ObjectInfo> merged;
  while (!heap.empty() && merged.size() < limit) {
    std::ranges::pop_heap(heap, greater);
    const size_t i = heap.back();
    merged.push_back(std::move(pages[i].objects[pages[i].next++]));
    if (pages[i].next == pages[i].objects.size() && !pages[i].last && merged.size() < limit) {
      TRY(fill(i, merged.back().key));
    }
    if (pages[i].next < pages[i].objects.size()) {
      std::ranges::push_heap(heap, greater);
    } else {
      heap.pop_back();
    }
  }
  return merged;
}

}  // namespace

size_t shard_of(std::string_view key, size_t shards) {
  uint32_t hash = 2166136261;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return hash % static_cast<uint32_t>(shards);
}

Result<std::string> bucket_of_shard(std::string_view bucket, int shard) {
  std::string out;
  bool numbered = false;
  for (size_t i = 0; i < bucket.size(); i++) {
    if (bucket[i] != '%') {
      out += bucket[i];
      continue;
    }
    const char directive = i + 1 < bucket.size() ? bucket[++i] : '\0';
    if (directive == '%') {
      out += '%';
    } else if (directive == 'd' && !numbered) {
      out += std::to_string(shard);
      numbered = true;
    } else {
      return fail(EINVAL, "bucket \"" + without_password(std::string(bucket)) +
                              "\" of a sharded volume must have one %d, and %% for a percent sign");
    }
  }
  if (numbered) return out;
  return fail(EINVAL, "bucket \"" + without_password(std::string(bucket)) +
                          "\" has no %d for the shard's number, so all shards would be one bucket");
}

std::unique_ptr<ObjectStore> with_shards(std::vector<std::unique_ptr<ObjectStore>> stores) {
  return std::make_unique<ShardedStore>(std::move(stores));
}

}  // namespace cider::object
