#include "meta/model/volume.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "meta/model/json_text.h"
#include "meta/model/volume_check.h"
#include "meta/model/volume_secrets.h"

namespace cider::meta {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 32;  // of nested values; a setting needs three
constexpr int kMaxTier = 255;

enum class When { always, not_empty };

// Names every field once, in the order of the document. A visitor has operator()(name, field, when) and
// carried(name) for fields that we keep without reading them.
template <class Visitor, class VolumeOrConst>
void visit_fields(Visitor& visit, VolumeOrConst& v) {
  visit("Name", v.name, When::always);
  visit("UUID", v.uuid, When::always);
  visit("Storage", v.storage, When::always);
  visit("StorageClass", v.storage_class, When::not_empty);
  visit("Tiers", v.tiers, When::always);
  visit("Bucket", v.bucket, When::always);
  visit("AccessKey", v.access_key, When::not_empty);
  visit("SecretKey", v.secret_key, When::not_empty);
  visit("SessionToken", v.session_token, When::not_empty);
  visit("BlockSize", v.block_size, When::always);
  visit("Compression", v.compression, When::not_empty);
  visit("Shards", v.shards, When::not_empty);
  visit("HashPrefix", v.hash_prefix, When::not_empty);
  visit("Capacity", v.capacity, When::not_empty);
  visit("Inodes", v.inodes, When::not_empty);
  visit("EncryptKey", v.encrypt_key, When::not_empty);
  visit("EncryptAlgo", v.encrypt_algo, When::not_empty);
  visit("KeyEncrypted", v.key_encrypted, When::not_empty);
  visit("UploadLimit", v.upload_limit, When::not_empty);
  visit("DownloadLimit", v.download_limit, When::not_empty);
  visit("TrashDays", v.trash_days, When::always);
  visit("MetaVersion", v.meta_version, When::not_empty);
  visit("MinClientVersion", v.min_client_version, When::not_empty);
  visit("MaxClientVersion", v.max_client_version, When::not_empty);
  visit("DirStats", v.dir_stats, When::not_empty);
  visit("UserGroupQuota", v.user_group_quota, When::not_empty);
  visit("EnableACL", v.enable_acl, When::always);
  visit.carried("RangerRestUrl");
  visit.carried("RangerService");
  visit("ChangeLog", v.change_log, When::not_empty);
  visit.carried("ChangeLogMaxAge");
  visit.carried("ChangeLogMaxLines");
  visit.carried("KerbConf");
}

// Calls fn(what, secret) for every field that is sealed in the document, until one fails.
template <class VolumeOrConst, class Fn>
Status for_each_secret(VolumeOrConst& v, Fn fn) {
  TRY(fn("EncryptKey", v.encrypt_key));
  TRY(fn("SecretKey", v.secret_key));
  TRY(fn("SessionToken", v.session_token));
  return {};
}

Result<Json> parse_object(std::string_view text) {
  bool too_deep = false;
  auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  Json json = Json::parse(text, watch_depth, /*allow_exceptions=*/false);
  if (too_deep || !json.is_object()) return fail(EINVAL, "the volume's setting is no JSON object");
  return json;
}

// ---- reading ----

bool read_value(const Json& json, std::map<int, Tier>* out);

template <class T>
bool read_value(const Json& json, T* out) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) return false;
    *out = json.get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) return false;
    *out = json.get<bool>();
  } else if (json.is_number_unsigned()) {
    if (!std::in_range<T>(json.get<uint64_t>())) return false;
    *out = static_cast<T>(json.get<uint64_t>());
  } else {
    if (!json.is_number_integer() || !std::in_range<T>(json.get<int64_t>())) return false;
    *out = static_cast<T>(json.get<int64_t>());
  }
  return true;
}

// An absent field or a null leaves `out` as it is.
template <class T>
bool read_field(const Json& object, const char* name, T* out) {
  auto it = object.find(name);
  return it == object.end() || it->is_null() || read_value(*it, out);
}

bool read_value(const Json& json, std::map<int, Tier>* out) {
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    Tier tier;
    if (!value.is_object() || !read_field(value, "ID", &tier.id) || tier.id < 0 || tier.id > kMaxTier ||
        !read_field(value, "StorageClass", &tier.storage_class) || !read_field(value, "Tag", &tier.tag)) {
      return false;
    }
    if (key != std::to_string(tier.id)) return false;
    (*out)[tier.id] = tier;
  }
  return true;
}

class Reader {
 public:
  explicit Reader(const Json& document) : document_(document) {}

  template <class T>
  void operator()(const char* name, T& field, When) {
    known_.insert(name);
    if (!read_field(document_, name, &field) && status_) {
      status_ = fail(EINVAL, std::string("field ") + name + " of the volume's setting is not valid: " +
                                 document_.find(name)->dump().substr(0, 100));
    }
  }
  void carried(const char*) {}

  Status take_status() { return std::move(status_); }

  std::string unknown() const {
    Json rest = Json::object();
    for (const auto& [key, value] : document_.items()) {
      if (!known_.contains(key)) rest[key] = value;
    }
    return rest.empty() ? std::string() : rest.dump();
  }

 private:
  const Json& document_;
  std::set<std::string> known_;
  Status status_;
};

Status unseal_all(Volume* volume) {
  if (!volume->key_encrypted) return {};
  return for_each_secret(*volume, [&](const char* name, std::string& secret) -> Status {
    if (secret.empty() || secret == kRemovedSecret) return {};
    if (volume->encrypt_algo == kSm4Gcm) return fail(ENOTSUP, "secrets sealed with SM4 are not supported");
    auto plain = unseal_secret(volume->uuid, secret);
    if (!plain) {
      return fail(plain.error().code,
                  std::string(name) + " of the volume's setting can't be opened: " + plain.error().message);
    }
    secret = *std::move(plain);
    return {};
  });
}

// ---- writing ----

class Writer {
 public:
  explicit Writer(Json unknown) : unknown_(std::move(unknown)) {}

  template <class T>
  void operator()(const char* name, const T& field, When when) {
    unknown_.erase(name);
    if (when == When::always || field != T()) document_[name] = field;
  }
  void operator()(const char* name, const std::map<int, Tier>& tiers, When) {
    unknown_.erase(name);
    std::map<std::string, const Tier*> in_text_order;  // Go sorts keys as text: 0, 1, 10, 2
    for (const auto& [id, tier] : tiers) in_text_order[std::to_string(id)] = &tier;
    Json& out = document_[name] = Json::object();
    for (const auto& [key, tier] : in_text_order) {
      out[key] = {{"ID", tier->id}, {"StorageClass", tier->storage_class}, {"Tag", tier->tag}};
    }
  }
  void carried(const char* name) {
    auto it = unknown_.find(name);
    if (it == unknown_.end()) return;
    document_[name] = *it;
    unknown_.erase(name);
  }

  Json finish() {
    for (const auto& [key, value] : unknown_.items()) document_[key] = value;
    return std::move(document_);
  }

 private:
  Json unknown_;
  Json document_ = Json::object();
};

Status seal_all(Volume* volume) {
  if (!volume->key_encrypted) return {};
  return for_each_secret(*volume, [&](const char*, std::string& secret) -> Status {
    if (secret.empty() || secret == kRemovedSecret) return {};
    if (volume->encrypt_algo == kSm4Gcm) return fail(ENOTSUP, "secrets sealed with SM4 are not supported");
    secret = TRY(seal_secret(volume->uuid, secret));
    return {};
  });
}

}  // namespace

Result<std::string> encode_volume(const Volume& volume) {
  Volume stored = volume;
  TRY(seal_all(&stored));
  if (!stored.tiers.contains(0)) stored.tiers[0] = Tier{.id = 0, .storage_class = stored.storage_class};
  Writer writer(stored.unknown.empty() ? Json::object() : TRY(parse_object(stored.unknown)));
  visit_fields(writer, std::as_const(stored));
  try {
    return escape_like_go(writer.finish().dump(/*indent=*/0));
  } catch (const Json::exception&) {
    return fail(EINVAL, "a field of the volume's setting is not UTF-8");
  }
}

Result<Volume> decode_volume(std::string_view json) {
  const Json document = TRY(parse_object(json));
  Volume volume;
  // A field that isn't there is Go's zero value, whatever a new volume would begin with.
  volume.block_size = 0;
  volume.compression.clear();
  volume.trash_days = 0;
  volume.meta_version = 0;
  volume.dir_stats = false;
  Reader reader(document);
  visit_fields(reader, volume);
  TRY(reader.take_status());
  volume.unknown = reader.unknown();
  if (!volume.tiers.contains(0)) volume.tiers[0] = Tier{.id = 0, .storage_class = volume.storage_class};
  TRY(check_usable(volume));
  if (volume.uuid.empty()) return fail(EINVAL, "the volume's setting has no UUID");
  TRY(unseal_all(&volume));
  return volume;
}

Status check_secrets(const Volume& volume) {
  return for_each_secret(volume, [](const char* name, const std::string& secret) -> Status {
    if (secret != kRemovedSecret) return {};
    return fail(EINVAL,
                std::string(name) +
                    " was removed from the volume's setting by a dump; set it again with `ciderfs config`");
  });
}

std::string needed_client_version(const Volume& volume) {
  Json carried = Json::object();
  if (auto parsed = parse_object(volume.unknown)) carried = *std::move(parsed);
  auto set = [&](const char* name) {
    auto it = carried.find(name);
    return it != carried.end() && it->is_string() && !it->get_ref<const std::string&>().empty();
  };
  const bool has_tiers =
      !volume.tiers.empty() &&
      (volume.tiers.size() > 1 || !volume.tiers.begin()->second.tag.empty() || !volume.tiers.contains(0));
  if (has_tiers || set("KerbConf")) return "1.4.0-A";
  if (set("RangerRestUrl") || set("RangerService")) return "1.3.0-A";
  if (volume.enable_acl) return "1.2.0-A";
  return "1.1.0-A";
}

}  // namespace cider::meta
