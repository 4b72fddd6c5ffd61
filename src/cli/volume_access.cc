#include "cli/volume_access.h"

#include <sys/random.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/url.h"
#include "base/version.h"
#include "cli/host.h"
#include "cli/volume_encryption.h"
#include "meta/store/engines.h"
#include "object/encrypted.h"
#include "object/retry.h"

namespace cider::cli {
namespace {

constexpr std::string_view kTestFolder = "testing";
constexpr std::string_view kMark = "juicefs_uuid";

Buffer buffer_of(std::string_view bytes) {
  Buffer buffer = Buffer::allocate(bytes.size(), nullptr);
  std::memcpy(buffer.mutable_data(), bytes.data(), bytes.size());
  return buffer;
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

}  // namespace

std::string absolute_meta_url(const std::string& url) {
  const std::string path(meta::local_path(url));
  if (path.empty() || path.front() == '/') return url;
  const std::string scheme = url.substr(0, url.size() - path.size());
  size_t query = path.find('?');
  std::string tail = query == std::string::npos ? "" : path.substr(query);
  return scheme + absolute_path(path.substr(0, query)) + tail;
}

Status check_meta_url(const std::string& url) {
  return meta::check_store_url(absolute_meta_url(url));
}

std::string printable_meta_url(const std::string& url) {
  return without_password(url);
}

Result<OpenedVolume> open_volume(const std::string& meta_url, Access access) {
  OpenedVolume opened;
  opened.store =
      TRY(meta::open_store(absolute_meta_url(meta_url), /*create=*/false, access == Access::read_only));
  Result<meta::Volume> volume = meta::load_volume(*opened.store);
  if (!volume && volume.error().code == ENOENT) {
    return fail(ENOENT, printable_meta_url(meta_url) + " holds no volume; make one with `ciderfs format " +
                            printable_meta_url(meta_url) + " NAME`");
  }
  opened.volume = TRY(std::move(volume));
  return opened;
}

meta::SessionInfo this_session(const std::string& mount_point) {
  meta::SessionInfo info;
  info.version = client_version();
  info.host_name = host_name();
  info.ip_addresses = ip_addresses();
  info.mount_point = mount_point;
  info.mount_time = Clock::system().now();
  info.process_id = static_cast<uint64_t>(::getpid());
  return info;
}

object::StoreConfig store_config(const meta::Volume& volume) {
  object::StoreConfig config;
  config.storage = volume.storage;
  config.bucket = volume.bucket;
  config.access_key = volume.access_key;
  config.secret_key = volume.secret_key;
  config.session_token = volume.session_token;
  config.storage_class = volume.storage_class;
  if (auto tier = volume.tiers.find(0); tier != volume.tiers.end()) {
    config.storage_class = tier->second.storage_class;
    config.tag = tier->second.tag;
  }
  config.shards = volume.shards;
  return config;
}

Result<std::vector<meta::SessionRecord>> sessions_of_others(meta::Store& store) {
  // Who was killed could not take its leave.
  if (store.is_alone()) return std::vector<meta::SessionRecord>();
  return store.list_sessions();
}

Result<std::unique_ptr<object::ObjectStore>> open_bucket(const meta::Volume& volume) {
  TRY(meta::check_secrets(volume));
  return object::open_store(store_config(volume));
}

Result<chunk::Layout> block_layout(const meta::Volume& volume) {
  chunk::Layout layout;
  layout.block_size = static_cast<uint32_t>(volume.block_size) << 10;
  layout.hash_prefix = volume.hash_prefix;
  layout.codec = TRY(chunk::find_codec(volume.compression));
  layout.whole_objects = layout.codec != nullptr || !volume.encrypt_key.empty();
  return layout;
}

size_t largest_object(const chunk::Layout& layout) {
  return layout.codec ? layout.codec->bound(layout.block_size) : layout.block_size;
}

Result<std::unique_ptr<object::ObjectStore>> open_objects(const meta::Volume& volume, MemoryBudget* budget) {
  auto encryptor = TRY(volume_encryptor(volume));
  auto objects = object::with_prefix(TRY(open_bucket(volume)), volume.name + "/");
  objects = object::with_retries(std::move(objects), {});
  if (!encryptor) return objects;
  return object::with_encryption(std::move(objects), std::move(encryptor), budget,
                                 largest_object(TRY(block_layout(volume))));
}

Status test_objects(object::ObjectStore& objects) {
  auto failed = [&](const char* what, const Error& error) {
    return fail(error.code,
                "storage " + objects.name() + " does not work: can't " + what + ": " + error.to_string());
  };
  char random[50];
  if (::getrandom(random, sizeof random, 0) != sizeof random) return fail_errno("getrandom");
  const std::string content(random, sizeof random);
  const std::string key = std::string(kTestFolder) + "/" + to_hex(content.substr(0, 8));

  if (Status there = objects.check_bucket(); !there) return failed("reach the bucket", there.error());
  if (Status put = objects.put(key, {buffer_of(content)}, {}); !put)
    return failed("write an object", put.error());
  Result<std::string> got = objects.get_all(key, content.size(), {});
  Status removed = objects.remove(key);
  if (removed) removed = objects.remove_empty_folders(kTestFolder);
  if (!got) return failed("read an object", got.error());
  if (*got != content)
    return fail(EIO, "storage " + objects.name() + " answers other bytes than were stored");
  if (!removed) return failed("delete an object", removed.error());
  return {};
}

Status put_mark(object::ObjectStore& objects, const meta::Volume& volume) {
  return objects.put(kMark, {buffer_of(volume.uuid)}, {});
}

Status check_mark(object::ObjectStore& objects, const meta::Volume& volume) {
  Result<std::string> uuid = objects.get_all(kMark, 1024, {});
  if (!uuid && uuid.error().code == ENOENT) {
    return fail(ENOENT, "storage " + objects.name() +
                            " does not seem to hold this volume's data: it has no object " +
                            std::string(kMark));
  }
  if (TRY(std::move(uuid)).starts_with(volume.uuid)) return {};
  return fail(EINVAL, "storage " + objects.name() + " holds the data of another volume, says its object " +
                          std::string(kMark));
}

std::string printable_setting(const meta::Volume& volume) {
  meta::Volume shown = volume;
  for (std::string* secret : {&shown.secret_key, &shown.session_token, &shown.encrypt_key}) {
    if (!secret->empty()) *secret = "removed";
  }
  shown.key_encrypted = false;
  shown.bucket = without_password(shown.bucket);
  Result<std::string> document = meta::encode_volume(shown);
  if (!document) return "{}";
  return nlohmann::ordered_json::parse(*document, nullptr, /*allow_exceptions=*/false).dump(2);
}

std::string absolute_bucket(const std::string& storage, const std::string& bucket) {
  constexpr std::string_view kScheme = "sqlite3://";
  if (storage == "sqlite3" && !bucket.empty()) {
    return absolute_path(bucket.starts_with(kScheme) ? bucket.substr(kScheme.size()) : bucket);
  }
  if (storage != "file") return bucket;
  std::string path = absolute_path(bucket);
  return path.ends_with('/') ? path : path + "/";
}

}  // namespace cider::cli
