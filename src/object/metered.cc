// A store that counts its requests, with JuiceFS's names of metrics.
#include <chrono>
#include <type_traits>

#include "base/metrics.h"
#include "object/object_store.h"

namespace cider::object {
namespace {

class MeteredStore final : public ObjectStore {
 public:
  MeteredStore(std::unique_ptr<ObjectStore> inner, MetricSet& metrics)
      : inner_(std::move(inner)),
        get_(metrics.histogram("object_request_durations_histogram_seconds_GET")),
        put_(metrics.histogram("object_request_durations_histogram_seconds_PUT")),
        delete_(metrics.histogram("object_request_durations_histogram_seconds_DELETE")),
        got_(metrics.counter("object_request_data_bytes_GET")),
        stored_(metrics.counter("object_request_data_bytes_PUT")),
        errors_(metrics.counter("object_request_errors")),
        uploading_(metrics.counter("object_request_uploading")) {}

  std::string name() const override { return inner_->name(); }
  Status create() override { return inner_->create(); }
  Status check_bucket() override { return inner_->check_bucket(); }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    Status done = timed(get_, [&] { return inner_->get(key, offset, out, std::move(stop)); });
    if (done) got_.add(static_cast<double>(out.size()));
    return done;
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    Status done =
        timed(get_, [&] { return inner_->get_in_order(key, offset, out, arrived, std::move(stop)); });
    if (done) got_.add(static_cast<double>(out.size()));
    return done;
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    auto done = timed(get_, [&] { return inner_->get_whole(key, out, std::move(stop)); });
    if (done) got_.add(static_cast<double>(*done));
    return done;
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    auto done = timed(get_, [&] { return inner_->get_all(key, limit, std::move(stop)); });
    if (done) got_.add(static_cast<double>(done->size()));
    return done;
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    uploading_.add(1);
    Status done = timed(put_, [&] { return inner_->put(key, data, std::move(stop)); });
    uploading_.add(-1);
    if (done) stored_.add(static_cast<double>(total_size(data)));
    return done;
  }
  Status remove(std::string_view key) override {
    return timed(delete_, [&] { return inner_->remove(key); });
  }
  Status remove_many(std::span<const std::string> keys) override {
    return timed(delete_, [&] { return inner_->remove_many(keys); });
  }

  Status copy(std::string_view from, std::string_view to, std::stop_token stop) override {
    return timed(put_, [&] { return inner_->copy(from, to, std::move(stop)); });
  }
  Result<std::string> create_upload(std::string_view key, std::stop_token stop) override {
    return inner_->create_upload(key, std::move(stop));
  }
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override {
    uploading_.add(1);
    auto done = timed(put_, [&] { return inner_->upload_part(key, id, number, data, std::move(stop)); });
    uploading_.add(-1);
    if (done) stored_.add(static_cast<double>(total_size(data)));
    return done;
  }
  Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                 std::string_view from, uint64_t offset, uint64_t size,
                                 std::stop_token stop) override {
    return timed(put_,
                 [&] { return inner_->copy_part(key, id, number, from, offset, size, std::move(stop)); });
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

  Result<ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return inner_->list(prefix, after, limit);
  }
  Status remove_empty_folders(std::string_view folder) override {
    return inner_->remove_empty_folders(folder);
  }
  Status sync(std::span<const std::string> keys) override { return inner_->sync(keys); }

 private:
  template <class Request>
  std::invoke_result_t<Request> timed(Histogram& durations, Request&& request) {
    const auto began = std::chrono::steady_clock::now();
    auto done = request();
    durations.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    if (!done) errors_.add();
    return done;
  }

  const std::unique_ptr<ObjectStore> inner_;
  Histogram& get_;
  Histogram& put_;
  Histogram& delete_;
  Counter& got_;
  Counter& stored_;
  Counter& errors_;
  Counter& uploading_;
};

}  // namespace

std::unique_ptr<ObjectStore> with_metrics(std::unique_ptr<ObjectStore> inner, MetricSet& metrics) {
  return std::make_unique<MeteredStore>(std::move(inner), metrics);
}

}  // namespace cider::object
