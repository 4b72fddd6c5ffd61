#include "cli/volume_objects.h"

#include "base/log.h"
#include "cli/volume_access.h"
#include "cli/volume_encryption.h"
#include "object/encrypted.h"
#include "object/hedge.h"
#include "object/retry.h"

namespace cider::cli {
namespace {

// The volume as this mount reaches it.
meta::Volume with_options(meta::Volume volume, const ObjectOptions& options) {
  if (options.storage) volume.storage = *options.storage;
  if (options.bucket) volume.bucket = absolute_bucket(volume.storage, *options.bucket);
  if (options.storage_class) volume.storage_class = volume.tiers[0].storage_class = *options.storage_class;
  if (options.tag) volume.tiers[0].tag = *options.tag;
  return volume;
}

// Drivers with limits of their own must not be more impatient than the layer above them.
object::StoreConfig config_of(const meta::Volume& reached, const object::Timeouts& timeouts,
                              MemoryBudget& budget) {
  object::StoreConfig config = store_config(reached);
  config.memory = &budget;
  config.get_timeout = std::chrono::ceil<Seconds>(timeouts.get);
  config.put_timeout = std::chrono::ceil<Seconds>(timeouts.put);
  return config;
}

Result<std::unique_ptr<object::ObjectStore>> open_checked(const meta::Volume& reached,
                                                          const object::StoreConfig& config) {
  TRY(meta::check_secrets(reached));
  return object::open_store(config);
}

}  // namespace

std::string VolumeObjects::local_folder() const {
  return config_.storage == "file" && config_.shards <= 1 ? config_.bucket + "/" + name_ : "";
}

Result<std::unique_ptr<VolumeObjects>> VolumeObjects::open(const meta::Volume& volume, ObjectOptions options,
                                                           MemoryBudget& budget) {
  const meta::Volume reached = with_options(volume, options);
  const auto encryptor = TRY(volume_encryptor(volume));
  object::StoreConfig config = config_of(reached, options.timeouts, budget);
  auto bucket = std::make_unique<object::ReplaceableStore>(TRY(open_checked(reached, config)));
  std::unique_ptr<VolumeObjects> objects(
      new VolumeObjects(volume.name, std::move(options), std::move(config)));
  objects->replaceable_ = bucket.get();
  objects->encryptor_ = encryptor;
  auto store = object::with_prefix(std::move(bucket), volume.name + "/");
  store = object::with_metrics(std::move(store));
  store = object::with_timeouts(std::move(store), objects->options_.timeouts);
  store = object::with_retries(std::move(store), {});
  if (object::is_worth_hedging(reached.storage)) store = object::with_hedging(std::move(store), budget);
  store = object::with_limits(std::move(store), objects->limits_);
  if (encryptor) {
    store = object::with_encryption(std::move(store), encryptor, &budget,
                                    largest_object(TRY(block_layout(volume))));
  }
  objects->store_ = std::move(store);
  objects->set_limits(volume);
  return objects;
}

VolumeObjects::VolumeObjects(std::string name, ObjectOptions options, object::StoreConfig config)
    : name_(std::move(name)),
      options_(std::move(options)),
      config_(std::move(config)),
      limits_(std::make_shared<object::RateLimits>()) {}

void VolumeObjects::set_limits(const meta::Volume& volume) {
  limits_->upload.set(options_.upload_limit > 0 ? options_.upload_limit : volume.upload_limit);
  limits_->download.set(options_.download_limit > 0 ? options_.download_limit : volume.download_limit);
}

void VolumeObjects::follow(const meta::Volume& volume) {
  set_limits(volume);
  const meta::Volume reached = with_options(volume, options_);
  object::StoreConfig config = config_of(reached, options_.timeouts, *config_.memory);
  if (config == config_) return;
  auto bucket = open_checked(reached, config);
  if (!bucket) {
    log::error("the changed storage can't be used, the old one stays: " + bucket.error().to_string());
    return;
  }
  log::info("The setting of the storage has changed; it is now " + (*bucket)->name());
  replaceable_->replace(*std::move(bucket));
  const std::string before = local_folder();
  config_ = std::move(config);
  if (local_folder() != before) {
    log::warning("whether the cache takes what is read is decided at the mount: mount again");
  }
}

}  // namespace cider::cli
