#include "meta/model/volume_check.h"

#include <algorithm>
#include <array>
#include <bit>

#include "meta/model/client_version.h"

namespace cider::meta {
namespace {

constexpr int kMinBlock = 64;         // KiB
constexpr int kMaxBlock = 16 * 1024;  // KiB
constexpr int kMaxShards = 256;

template <size_t n>
bool is_one_of(std::string_view value, const std::array<std::string_view, n>& values) {
  return std::ranges::find(values, value) != values.end();
}

Status check_name(const std::string& name) {
  auto letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  auto allowed = [&](char c) { return letter_or_digit(c) || c == '-'; };
  const bool valid = name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, allowed) &&
                     letter_or_digit(name.front()) && letter_or_digit(name.back());
  if (valid) return {};
  return fail(
      EINVAL,
      "volume name \"" + name +
          "\" is not valid: it takes 3 to 63 lower-case letters, digits and dashes, no dash at either end");
}

Status check_block_size(int kib) {
  const std::string have = "block size " + std::to_string(kib) + " KiB is ";
  if (kib < kMinBlock) return fail(EINVAL, have + "too small; the smallest is 64 KiB");
  if (kib > kMaxBlock) return fail(EINVAL, have + "too large; the largest is 16384 KiB (16 MiB)");
  const unsigned below = std::bit_floor(static_cast<unsigned>(kib));
  if (below == static_cast<unsigned>(kib)) return {};
  return fail(EINVAL, have + "not a power of two; the nearest are " + std::to_string(below) + " KiB and " +
                          std::to_string(below * 2) + " KiB");
}

Status check_shards(const Volume& volume) {
  if (volume.shards < 0 || volume.shards > kMaxShards) {
    return fail(EINVAL, "shards " + std::to_string(volume.shards) + " is not valid: it takes 0 to 256");
  }
  return {};
}

Status check_codecs(const Volume& volume) {
  static constexpr std::array<std::string_view, 4> kCompressions = {"", "none", "lz4", "zstd"};
  static constexpr std::array<std::string_view, 3> kEncryptions = {"", "aes256gcm-rsa", "chacha20-rsa"};
  if (!is_one_of(volume.compression, kCompressions)) {
    return fail(EINVAL, "compression \"" + volume.compression + "\" is not known; use none, lz4 or zstd");
  }
  if (!is_one_of(volume.encrypt_algo, kEncryptions)) {
    return fail(EINVAL,
                "encryption \"" + volume.encrypt_algo + "\" is not known; use aes256gcm-rsa or chacha20-rsa");
  }
  return {};
}

Status check_versions(const Volume& volume) {
  for (const std::string& version : {volume.min_client_version, volume.max_client_version}) {
    if (!version.empty() && !parse_client_version(version)) {
      return fail(EINVAL, "client version \"" + version + "\" is not valid; an example is 1.4.1");
    }
  }
  return {};
}

}  // namespace

Status check_usable(const Volume& volume) {
  if (volume.name.empty()) return fail(EINVAL, "the volume's setting has no Name");
  TRY(check_block_size(volume.block_size));
  TRY(check_shards(volume));
  if (volume.trash_days < 0)
    return fail(EINVAL, "trash days " + std::to_string(volume.trash_days) + " is below 0");
  return {};
}

Status check_volume(const Volume& volume) {
  TRY(check_name(volume.name));
  TRY(check_usable(volume));
  if (volume.storage.empty()) return fail(EINVAL, "the volume has no storage");
  if (volume.shards > 1 && volume.bucket.find("%d") == std::string::npos) {
    return fail(EINVAL, "with " + std::to_string(volume.shards) +
                            " shards the bucket must have a %d for the shard's number: " + volume.bucket);
  }
  TRY(check_codecs(volume));
  TRY(check_versions(volume));
  if (volume.upload_limit < 0 || volume.download_limit < 0) {
    return fail(EINVAL, "an upload or download limit is below 0");
  }
  return {};
}

}  // namespace cider::meta
