// The objects of a volume as the data path uses them: driver, decorators, and what may change while mounted.
//
// The layers, lowest first, and why they stand so:
//   driver, shards    what the setting names; replaced when the setting changes (new keys, say)
//   prefix            the volume's name, below which hashes, listings and requests see whole keys
//   metrics           counts and times what is really sent: each try, each second request
//   timeouts          of one try
//   retries           of what nobody above retries; see object/retry.h
//   hedging           of reads, where the storage is worth it
//   limits            so that data which is waited for is not taken for slow; what is sent again or a second
//                     time does not count
//   encryption        where the volume has a key: all below it sees what is sent
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/budget.h"
#include "base/result.h"
#include "meta/model/volume.h"
#include "object/crypto/encryptor.h"
#include "object/object_store.h"
#include "object/rate_limit.h"
#include "object/replaceable.h"
#include "object/timeouts.h"

namespace cider::cli {

// What a mount says differently from the volume's setting.
struct ObjectOptions {
  std::optional<std::string> storage;
  std::optional<std::string> bucket;
  std::optional<std::string> storage_class;
  std::optional<std::string> tag;
  int64_t upload_limit = 0;  // Mbps; 0: the volume's
  int64_t download_limit = 0;
  object::Timeouts timeouts;
};

class VolumeObjects {
 public:
  // `budget`, which outlives this, is charged with the buffers of connections and of second requests.
  static Result<std::unique_ptr<VolumeObjects>> open(const meta::Volume& volume, ObjectOptions options,
                                                     MemoryBudget& budget);

  object::ObjectStore& store() { return *store_; }
  // Null where the volume isn't encrypted.
  const object::Encryptor* encryptor() const { return encryptor_.get(); }

  // The folder of the volume's objects where they are plain files of this machine, else empty.
  std::string local_folder() const;

  // Takes over what a changed setting says of the storage and of the limits. From one thread at a time. A
  // setting whose storage can't be opened is told in the log, and the old one stays in use.
  void follow(const meta::Volume& volume);

 private:
  VolumeObjects(std::string name, ObjectOptions options, object::StoreConfig config);
  void set_limits(const meta::Volume& volume);

  const std::string name_;
  const ObjectOptions options_;
  object::StoreConfig config_;
  std::shared_ptr<object::RateLimits> limits_;
  std::shared_ptr<const object::Encryptor> encryptor_;
  object::ReplaceableStore* replaceable_ = nullptr;  // the lowest layer of store_
  std::unique_ptr<object::ObjectStore> store_;
};

}  // namespace cider::cli
