// An ObjectStore on S3's REST interface. One get or put is one HTTP request over a warm connection; what is
// received goes from the connection's buffer straight to the caller's memory.
//
// Objects carry the decimal CRC-32C of their bytes as metadata `Crc32c`, as JuiceFS writes it; it is verified
// wherever an object is read from its first to its last byte.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "object/drivers.h"
#include "object/s3/client.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {

class S3Store final : public ObjectStore {
 public:
  S3Store(const Provider& provider, Endpoint endpoint, const StoreConfig& config, HttpOptions http,
          std::shared_ptr<CredentialSource> keys);

  std::string name() const override;
  Status create() override;
  Status check_bucket() override;

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override;
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override;
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override;
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override;
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override;
  Status remove(std::string_view key) override;
  Status remove_many(std::span<const std::string> keys) override;
  Result<ObjectInfo> head(std::string_view key) override;
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override;

  Status copy(std::string_view from, std::string_view to, std::stop_token stop) override;
  Result<std::string> create_upload(std::string_view key, std::stop_token stop) override;
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override;
  Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                 std::string_view from, uint64_t offset, uint64_t size,
                                 std::stop_token stop) override;
  Status complete_upload(std::string_view key, const std::string& id, std::span<const UploadedPart> parts,
                         std::stop_token stop) override;
  Status abort_upload(std::string_view key, const std::string& id) override;
  Result<std::vector<PendingUpload>> list_uploads(std::string_view prefix) override;

 private:
  Result<HttpResponse> receive(std::string_view key, std::string range, size_t expected, const BodySink& sink,
                               std::stop_token stop);
  Status remove_batch(std::span<const std::string> keys);
  Result<ListPage> list_page(std::string_view prefix, std::string_view after, const std::string& token,
                             size_t limit);
  Pairs headers_of_new_object() const;
  // An answer of 200 that is an error after all, as copies and completions have it.
  Status check_result(const HttpResponse& response, const Call& call) const;
  std::string copy_source(std::string_view key) const;

  const Provider& provider_;
  const std::string bucket_;
  const std::string storage_class_;
  const std::string tag_;
  const bool checksum_;
  const Millis get_timeout_;
  const Millis put_timeout_;
  Client client_;
  std::atomic<bool> list_v1_;
  std::atomic<bool> delete_many_;
};

// open_s3() of drivers.h in a given environment.
Result<std::vector<std::unique_ptr<ObjectStore>>> open_shards(std::span<const StoreConfig> shards,
                                                              const Environment& env);

}  // namespace cider::object::s3
