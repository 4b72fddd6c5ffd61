#include "object/drivers.h"

namespace cider::object {
namespace {

struct Driver {
  std::string_view storage;
  Result<std::unique_ptr<ObjectStore>> (*open)(const StoreConfig& config);
};

constexpr Driver kDrivers[] = {
    {"file", open_file}, {"mem", open_mem},  {"s3", open_s3},  {"minio", open_s3}, {"wasabi", open_s3},
    {"scw", open_s3},    {"space", open_s3}, {"oos", open_s3}, {"eos", open_s3},   {"ks3", open_s3},
    {"qiniu", open_s3},  {"r2", open_s3},    {"b2", open_s3},  {"oss", open_s3},   {"cos", open_s3},
    {"obs", open_s3},    {"bos", open_s3},   {"tos", open_s3},
};

Result<const Driver*> find_driver(std::string_view storage) {
  std::string known;
  for (const Driver& driver : kDrivers) {
    if (driver.storage == storage) return &driver;
    if (!known.empty()) known += ", ";
    known += driver.storage;
  }
  return fail(EINVAL, "storage \"" + std::string(storage) + "\" is not supported; use one of: " + known);
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& config) {
  return TRY(find_driver(config.storage))->open(config);
}

Status check_storage(std::string_view storage) {
  TRY(find_driver(storage));
  return {};
}

}  // namespace cider::object
