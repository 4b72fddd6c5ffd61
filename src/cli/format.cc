// `ciderfs format`: makes a volume, or changes the setting of the one that is there.
#include <cstdlib>

#include "base/log.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/volume_access.h"
#include "cli/volume_encryption.h"
#include "meta/store/engines.h"

namespace cider::cli {
namespace {

constexpr std::string_view kStorageGroup = "DATA STORAGE";
constexpr std::string_view kFormatGroup = "DATA FORMAT";
constexpr std::string_view kManagementGroup = "MANAGEMENT";
constexpr std::string_view kDefaultAlgorithm = "aes256gcm-rsa";

constexpr Option kOptions[] = {
    {.name = "force", .help = "use a data folder that is not empty, or one without this volume's data"},
    {.name = "no-update", .help = "leave a volume alone that exists already, and succeed"},
    {.name = "storage",
     .type = OptionType::text,
     .fallback = "file",
     .group = kStorageGroup,
     .help = "kind of object storage; see docs/object-stores.md"},
    {.name = "bucket",
     .type = OptionType::text,
     .fallback = "~DATA",
     .group = kStorageGroup,
     .help = "where the data goes: of `file` a directory; objects stand below NAME/ in it"},
    {.name = "access-key",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "who we are to the storage; or by the environment, ACCESS_KEY"},
    {.name = "secret-key",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "and the secret that proves it; or SECRET_KEY"},
    {.name = "session-token",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "of keys for a while; or SESSION_TOKEN"},
    {.name = "storage-class",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "class of new objects, of storages that have classes"},
    {.name = "tag",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "KEY=VALUE that new objects are tagged with"},
    {.name = "block-size",
     .type = OptionType::size,
     .unit = 'K',
     .fallback = "4M",
     .group = kFormatGroup,
     .help = "size of a block in KiB: a power of two from 64K to 16M; fixed for good"},
    {.name = "compress",
     .type = OptionType::text,
     .fallback = "none",
     .group = kFormatGroup,
     .help = "compression of blocks: none, lz4 (fast) or zstd (smaller); fixed for good"},
    {.name = "encrypt-rsa-key",
     .type = OptionType::text,
     .group = kFormatGroup,
     .help =
         "encrypt all objects: file with an RSA private key (PEM); its passphrase is in JFS_RSA_PASSPHRASE"},
    {.name = "encrypt-algo",
     .type = OptionType::text,
     .fallback = "aes256gcm-rsa",
     .group = kFormatGroup,
     .help = "how: aes256gcm-rsa or chacha20-rsa (faster without AES instructions); fixed for good"},
    {.name = "shards",
     .type = OptionType::integer,
     .fallback = "0",
     .group = kFormatGroup,
     .help = "spread objects over so many buckets, up to 256, whose number stands for %d in --bucket; fixed "
             "for good"},
    {.name = "hash-prefix", .group = kFormatGroup, .help = "begin object names with a hash; fixed for good"},
    {.name = "capacity",
     .type = OptionType::size,
     .unit = 'G',
     .fallback = "0",
     .group = kManagementGroup,
     .help = "limit of the space used, in GiB; 0: none"},
    {.name = "inodes",
     .type = OptionType::integer,
     .fallback = "0",
     .group = kManagementGroup,
     .help = "limit of the number of files and directories; 0: none"},
    {.name = "trash-days",
     .type = OptionType::integer,
     .fallback = "1",
     .group = kManagementGroup,
     .help = "days that removed files stay in the trash; 0: no trash"},
    {.name = "enable-acl", .group = kManagementGroup, .help = "POSIX ACLs; can't be turned off again"},
};

constexpr UnsupportedOption kUnsupported[] = {
    {.name = "ranger-rest-url", .harmless = "-", .advice = "there is no Hadoop client yet; leave it out"},
    {.name = "ranger-service", .harmless = "-", .advice = "there is no Hadoop client yet; leave it out"},
    {.name = "kerberos-config-file",
     .harmless = "-",
     .advice = "there is no Hadoop client yet; leave it out"},
};

Status check_compression(const std::string& name) {
  if (auto codec = chunk::find_codec(name); !codec)
    return fail(EINVAL, "--compress: " + codec.error().message);
  return {};
}

Status check_encryption(const Arguments& arguments) {
  const std::string& algo = arguments.text("encrypt-algo");
  if (auto cipher = object::find_cipher(algo); !cipher) {
    return fail(cipher.error().code, "--encrypt-algo: " + cipher.error().message);
  }
  if (arguments.is_set("encrypt-algo") && algo != kDefaultAlgorithm && !arguments.is_set("encrypt-rsa-key")) {
    return fail(EINVAL, "--encrypt-algo " + algo + " needs a key: --encrypt-rsa-key FILE");
  }
  return {};
}

std::string given_or_environment(const Arguments& arguments, std::string_view option, const char* variable) {
  if (const std::string& given = arguments.text(option); !given.empty()) return given;
  const char* value = std::getenv(variable);
  return value ? value : "";
}

meta::Volume new_volume(const Arguments& arguments) {
  meta::Volume volume;
  volume.name = arguments[1];
  volume.storage = arguments.text("storage");
  volume.bucket = absolute_bucket(volume.storage, arguments.text("bucket"));
  volume.access_key = given_or_environment(arguments, "access-key", "ACCESS_KEY");
  volume.secret_key = given_or_environment(arguments, "secret-key", "SECRET_KEY");
  volume.session_token = given_or_environment(arguments, "session-token", "SESSION_TOKEN");
  volume.storage_class = arguments.text("storage-class");
  volume.tiers[0] = {.id = 0, .storage_class = volume.storage_class, .tag = arguments.text("tag")};
  volume.shards = static_cast<int>(arguments.integer("shards"));
  volume.block_size = static_cast<int>(arguments.size("block-size") >> 10);
  volume.hash_prefix = arguments.flag("hash-prefix");
  volume.capacity = arguments.size("capacity");
  volume.inodes = static_cast<uint64_t>(arguments.integer("inodes"));
  volume.trash_days = static_cast<int>(arguments.integer("trash-days"));
  volume.enable_acl = arguments.flag("enable-acl");
  volume.compression = arguments.text("compress").empty() ? "none" : arguments.text("compress");
  volume.encrypt_algo = arguments.text("encrypt-algo");  // JuiceFS writes it without a key, too
  seal_secrets(&volume);
  return volume;
}

Status check_block_size(uint64_t bytes) {
  bool power_of_two = bytes != 0 && (bytes & (bytes - 1)) == 0;
  if (power_of_two && bytes >= 64 << 10 && bytes <= 16 << 20) return {};
  return fail(EINVAL, "--block-size " + short_size(bytes) + ": must be a power of two from 64 KiB to 16 MiB");
}

Status check(const Arguments& arguments) {
  TRY(check_meta_url(arguments[0]));
  if (int64_t shards = arguments.integer("shards"); shards < 0 || shards > 256) {
    return fail(EINVAL, "--shards " + std::to_string(shards) + ": must be from 0 to 256");
  }
  TRY(check_block_size(arguments.size("block-size")));
  TRY(check_settings(arguments));
  TRY(check_compression(arguments.text("compress")));
  TRY(check_encryption(arguments));
  return meta::check_volume(new_volume(arguments));
}

// Objects of another volume of this name must not be mixed with ours.
Status check_empty(object::ObjectStore& objects) {
  for (const object::ObjectInfo& object : TRY(objects.list("", "", 100))) {
    if (object.size == 0 || object.key.starts_with("testing/")) continue;
    return fail(ENOTEMPTY, "storage " + objects.name() + " is not empty (it holds " + object.key +
                               "); clean it up, choose another name or --bucket, or use --force");
  }
  return {};
}

// The storage is tried before the database is made, so that a failure leaves nothing behind.
Result<int> create(const Arguments& arguments, const std::string& url) {
  meta::Volume volume = new_volume(arguments);
  if (arguments.is_set("encrypt-rsa-key")) {
    volume.encrypt_key = TRY(read_rsa_key(arguments.text("encrypt-rsa-key")));
    volume.key_encrypted = true;
  }
  auto objects = TRY(open_objects(volume));
  log::info("Data goes to " + objects->name());
  if (Status made = objects->create(); !made) {
    return fail(made.error().code, "storage " + objects->name() + ": " + made.error().to_string());
  }
  TRY(test_objects(*objects));
  if (!arguments.flag("force")) TRY(check_empty(*objects));
  auto make_database = [&]() -> Status {
    std::unique_ptr<meta::Store> store = TRY(meta::open_store(url, /*create=*/true, /*read_only=*/false));
    return meta::format_volume(*store, &volume);
  };
  if (Status made = make_database(); !made) {
    (void)objects->remove_empty_folders("");  // which the test has made
    return fail(made.error());
  }
  if (Status put = put_mark(*objects, volume); !put) {
    log::warning("can't write the object juicefs_uuid: " + put.error().to_string());
  }
  log::info("Volume is formatted as " + printable_setting(volume));
  return 0;
}

// What can't change once there is data.
Status check_unchanged(const Arguments& arguments, const meta::Volume& volume) {
  auto differs = [&](const std::string& what, const std::string& is, const std::string& wanted) {
    return fail(EINVAL, "the database holds volume " + volume.name + " already, whose " + what +
                            " can't be changed from " + is + " to " + wanted);
  };
  if (arguments[1] != volume.name) return differs("name", volume.name, arguments[1]);
  if (arguments.is_set("block-size") &&
      arguments.size("block-size") >> 10 != static_cast<uint64_t>(volume.block_size)) {
    return differs("block size", std::to_string(volume.block_size) + " KiB",
                   std::to_string(arguments.size("block-size") >> 10) + " KiB");
  }
  if (arguments.is_set("shards") && arguments.integer("shards") != volume.shards) {
    return differs("number of shards", std::to_string(volume.shards),
                   std::to_string(arguments.integer("shards")));
  }
  if (arguments.is_set("hash-prefix") && arguments.flag("hash-prefix") != volume.hash_prefix) {
    return differs("hash prefix", volume.hash_prefix ? "true" : "false",
                   volume.hash_prefix ? "false" : "true");
  }
  if (arguments.is_set("compress") && arguments.text("compress") != volume.compression) {
    return differs("compression", volume.compression, arguments.text("compress"));
  }
  if (arguments.is_set("encrypt-algo") && arguments.text("encrypt-algo") != volume.encrypt_algo) {
    return differs("encryption", volume.encrypt_algo, arguments.text("encrypt-algo"));
  }
  return {};
}

// A key can't be changed; but one that a dump has removed can be set again. True if it was.
Result<bool> restore_key(const Arguments& arguments, meta::Volume* volume) {
  if (!arguments.is_set("encrypt-rsa-key")) return false;
  std::string key = TRY(read_rsa_key(arguments.text("encrypt-rsa-key")));
  if (key == volume->encrypt_key) return false;
  if (volume->encrypt_key != meta::kRemovedSecret) {
    return fail(EINVAL, "the database holds volume " + volume->name + " already, " +
                            (volume->encrypt_key.empty() ? "which is not encrypted; that can't be changed"
                                                         : "whose RSA key can't be changed"));
  }
  volume->encrypt_key = std::move(key);
  volume->key_encrypted = true;
  return true;
}

Result<int> update(const Arguments& arguments, meta::Store& store, meta::Volume volume) {
  if (arguments.flag("no-update")) return 0;
  TRY(check_unchanged(arguments, volume));
  const bool restored = TRY(restore_key(arguments, &volume));
  SettingChanges changes = TRY(apply_settings(arguments, &volume));
  if (restored) {
    changes.storage = true;  // which has the key tried
    changes.lines.push_back("encrypt-rsa-key: removed -> set");
  }
  auto objects = TRY(open_objects(volume));
  log::info("Data goes to " + objects->name());
  if (changes.storage) {
    Status marked = arguments.flag("force") ? objects->create() : check_mark(*objects, volume);
    if (!marked)
      return fail(marked.error().code, marked.error().to_string() + "; use --force if you are sure");
    TRY(test_objects(*objects));
  }
  for (const std::string& line : changes.lines) log::info("Changed " + line);
  if (!changes.empty()) TRY(store.save_setting(TRY(meta::encode_volume(volume))));
  log::info("Volume is formatted as " + printable_setting(volume));
  return 0;
}

Result<int> run(const Arguments& arguments) {
  std::string url = absolute_meta_url(arguments[0]);
  log::info("Metadata is in " + printable_meta_url(url));
  Result<OpenedVolume> existing = open_volume(url, Access::read_write);
  if (existing) return update(arguments, *existing->store, std::move(existing->volume));
  if (existing.error().code != ENOENT) return fail(std::move(existing).error());
  return create(arguments, url);
}

}  // namespace

const Command kFormatCommand = {
    .name = "format",
    .category = "ADMIN",
    .usage = "META-URL NAME",
    .summary = "Make a volume",
    .description =
        R"(Makes a new volume: its metadata in the database of META-URL, its data as objects below NAME/ in the bucket.
NAME is 3 to 63 lower-case letters, digits and dashes.

Run on a volume that exists, it changes the settings given (use `ciderfs config` for that).

Metadata engines:
  sqlite3://PATH                                    one machine
  redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]     many machines
  redis[s]://[[USER]:PASSWORD@]MASTER,SENTINEL,...[:PORT][/DB]
  redis[s]://[[USER]:PASSWORD@]HOST:PORT,HOST:PORT,...[/DB]
                                                    a Redis Cluster; HOST[:PORT] of one node leads to it, too
  unix://[[USER]:PASSWORD@]/SOCKET[?db=DB]
  memory://                                         gone with the process
The password of Redis may also come from META_PASSWORD, or from the file that META_PASSWORD_FILE names.

Examples:
  ciderfs format sqlite3:///var/lib/ciderfs/photos.db photos
  ciderfs format redis://db.example/1 photos --bucket /srv/photos
  ciderfs format sqlite3://photos.db photos --bucket /srv/photos --trash-days 7 --capacity 500)",
    .options = kOptions,
    .unsupported = kUnsupported,
    .min_arguments = 2,
    .max_arguments = 2,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
