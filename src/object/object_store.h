// The seam to object stores: immutable objects under string keys. Drivers stand beside this file, one each;
// decorators (prefix, retry, rate limit, checksum ...) wrap a store and are stores themselves. Drivers carry
// no retry logic.
//
// Thread-safe: every method may be called from many threads at once. Calls block; each ends with EINTR soon
// after `stop` is requested, where it can wait. Errors: ENOENT for an object that is not there,
// EACCES/EROFS/ENOSPC as the store says, EBADMSG for an object that is there but was altered (by a checksum
// or tag that the store keeps), EAGAIN where it asks for fewer requests, ETIMEDOUT, ECONNREFUSED and the like
// of the network, EIO for the rest, with a message that names the key or the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/function_ref.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/types.h"

namespace cider::object {

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;
  Time mtime;
};

// One part of an object that is being uploaded in parts.
struct UploadedPart {
  int number = 0;    // from 1
  std::string etag;  // as the store gave it
};

// An upload in parts that was neither completed nor aborted.
struct PendingUpload {
  std::string key;
  std::string id;
  Time created;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // What a person calls it: "file:///var/data/".
  virtual std::string name() const = 0;

  // Makes the bucket or folder if it isn't there.
  virtual Status create() = 0;

  // ENOENT where it isn't there.
  virtual Status check_bucket() { return {}; }

  // Reads exactly out.size() bytes from `offset` into `out`. A shorter object is EIO ("object K has n bytes,
  // wanted m").
  virtual Status get(std::string_view key, uint64_t offset, std::span<std::byte> out,
                     std::stop_token stop) = 0;

  // As get(), for a reader who can use the front of `out` before its end is there: calls `arrived` with the
  // number of bytes that are, each time more have come; on any thread, but never after it has returned. What
  // has arrived stays valid even if the rest fails, unless the object turns out to be damaged.
  virtual Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                              FunctionRef<void(size_t)> arrived, std::stop_token stop);

  // Reads a whole object of unknown size into the front of `out` and answers its size; EFBIG if it is larger.
  virtual Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop);

  // Reads a whole object; refuses one larger than `limit` (EFBIG).
  virtual Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) = 0;

  // Stores the pieces of `data`, in order, as one object; replaces an older one. Readers see all of it or
  // nothing.
  virtual Status put(std::string_view key, const BufferChain& data, std::stop_token stop) = 0;

  // Deletes; no error if it isn't there.
  virtual Status remove(std::string_view key) = 0;

  // Deletes all of `keys`, with few requests where the store can; the first error, when all were tried.
  virtual Status remove_many(std::span<const std::string> keys);

  virtual Result<ObjectInfo> head(std::string_view key) = 0;

  // Up to `limit` objects whose keys begin with `prefix` and are greater than `after`, sorted by key (bytes).
  virtual Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                               size_t limit) = 0;

  // Makes `to` an equal object, replacing an older one. Stores that can't by themselves read and write it, up
  // to kCopyLimit bytes (EFBIG above).
  static constexpr size_t kCopyLimit = size_t{64} << 20;
  virtual Status copy(std::string_view from, std::string_view to, std::stop_token stop);

  // Upload of one object in parts, which may go up in any order and at once; nothing is there for readers
  // before complete_upload(). ENOTSUP where the store has no such thing. Parts but the last are at least 5
  // MiB on most stores.
  virtual Result<std::string> create_upload(std::string_view key, std::stop_token stop);
  virtual Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                           const BufferChain& data, std::stop_token stop);
  // The bytes [offset, offset + size) of the object `from` as a part.
  virtual Result<UploadedPart> copy_part(std::string_view key, const std::string& id, int number,
                                         std::string_view from, uint64_t offset, uint64_t size,
                                         std::stop_token stop);
  // `parts` in the order of their numbers.
  virtual Status complete_upload(std::string_view key, const std::string& id,
                                 std::span<const UploadedPart> parts, std::stop_token stop);
  // No error if there is no such upload.
  virtual Status abort_upload(std::string_view key, const std::string& id);
  virtual Result<std::vector<PendingUpload>> list_uploads(std::string_view prefix);

  // Makes these objects, which put() has stored, survive a power loss. Those that are not there are passed
  // over. An error (the first one; the other objects are synced all the same) stays: while an object is there
  // that the disk has failed to keep, syncing it again fails, until it is put again. Remote stores
  // acknowledge only durable objects: nothing to do.
  virtual Status sync(std::span<const std::string> /*keys*/) { return {}; }

  // Removes the folder that keys beginning with `folder` + "/" lie in and those below it, as far as no object
  // is left in them. Stores that know no folders have nothing to do.
  virtual Status remove_empty_folders(std::string_view /*folder*/) { return {}; }
};

// What a store is opened with, as the volume's setting has it.
struct StoreConfig {
  std::string storage;  // "file", "s3" ...: a name of the table in open_store.cc
  std::string bucket;
  std::string access_key;
  std::string secret_key;
  std::string session_token;
  std::string storage_class;
  std::string tag;
  int shards = 0;  // above 1: so many buckets, whose number stands for the %d in `bucket`
  // Limits to a whole request of a remote store. Whoever uploads or downloads more than some MiB at a time
  // should raise them.
  Seconds get_timeout{60};
  Seconds put_timeout{60};
  std::string user_agent = "CiderFS";
  // Charged, without waiting, with what connections and requests hold beside their caller's memory; outlives
  // the store. Null: nowhere.
  MemoryBudget* memory = nullptr;

  bool operator==(const StoreConfig&) const = default;
};

// Opens a store. EINVAL names what is wrong with `config`, never a secret.
Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& config);
// EINVAL for the name of a storage that isn't supported, naming those that are.
Status check_storage(std::string_view storage);
// Whether a slow request for data is worth a second one (hedge.h): many servers stand behind the storage, and
// its requests can be interrupted.
bool is_worth_hedging(std::string_view storage);

// `inner` with `prefix` put in front of every key (and cut off listings).
std::unique_ptr<ObjectStore> with_prefix(std::unique_ptr<ObjectStore> inner, std::string prefix);

// `inner`, whose requests are counted and timed in `metrics` (object_request_...), which must outlive it.
std::unique_ptr<ObjectStore> with_metrics(std::unique_ptr<ObjectStore> inner,
                                          MetricSet& metrics = cider::metrics());

}  // namespace cider::object
