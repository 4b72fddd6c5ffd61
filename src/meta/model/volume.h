// The volume's setting: one JSON document in the engine, written by `format` and `config`, reloaded by every
// client.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::meta {

struct Tier {
  int id = 0;
  std::string storage_class;
  std::string tag;
  bool operator==(const Tier&) const = default;
};

// Format: JuiceFS 1.4 pkg/meta/config.go Format. Fields that this struct doesn't name survive a rewrite
// (`unknown`).
struct Volume {
  std::string name;
  std::string uuid;
  std::string storage;
  std::string storage_class;
  std::map<int, Tier> tiers;  // always has tier 0 when written
  std::string bucket;
  std::string access_key;
  std::string secret_key;     // plain in memory, sealed in the document
  std::string session_token;  // likewise
  int block_size = 4096;      // KiB
  std::string compression = "none";
  int shards = 0;
  bool hash_prefix = false;
  uint64_t capacity = 0;    // bytes, 0 = no limit
  uint64_t inodes = 0;      // 0 = no limit
  std::string encrypt_key;  // PEM; plain in memory, sealed in the document
  std::string encrypt_algo;
  bool key_encrypted = false;
  int64_t upload_limit = 0;  // Mbps
  int64_t download_limit = 0;
  int trash_days = 1;
  int meta_version = 1;
  std::string min_client_version;
  std::string max_client_version;
  bool dir_stats = true;
  bool user_group_quota = false;
  bool enable_acl = false;
  bool change_log = false;
  // JSON object text of the fields we don't name (with those of Ranger, Kerberos, ChangeLogMax*).
  std::string unknown;

  bool operator==(const Volume&) const = default;
};

// Stands for a secret that a dump left out.
inline constexpr std::string_view kRemovedSecret = "removed";

// The document as JuiceFS writes it: one field a line, no indent, its field order and its omitted empty
// fields. Secrets are sealed (AES-128-GCM under MD5(uuid), or SM4 is refused with ENOTSUP) when key_encrypted
// is set. EINVAL for text that isn't UTF-8.
Result<std::string> encode_volume(const Volume& volume);
// EINVAL names what is wrong: no JSON, a field of a wrong type, a missing name or uuid, a block size or shard
// count that can't be worked with, a sealed secret that doesn't open. A secret that a dump removed is left as
// kRemovedSecret.
Result<Volume> decode_volume(std::string_view json);

// EINVAL if a dump removed a secret of this volume: it must be set again before the data can be used.
Status check_secrets(const Volume& volume);

// Checks for a new volume: name `^[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]$`, block size 64 KiB to 16 MiB and a power
// of two, and so on. EINVAL.
Status check_volume(const Volume& volume);

// May this program use the volume? MetaVersion > 1 and Min/MaxClientVersion are judged as JuiceFS 1.4.1
// would. EPERM with a message that names both versions.
Status check_client_version(const Volume& volume);

// The lowest client version that the volume's features need ("1.1.0-A", ACL "1.2.0-A", Ranger "1.3.0-A",
// tiers and Kerberos "1.4.0-A"). See later_version() in client_version.h to raise min_client_version to it.
std::string needed_client_version(const Volume& volume);

}  // namespace cider::meta
