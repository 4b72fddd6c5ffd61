#include "meta/model/volume.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "meta/model/volume_secrets.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

using nlohmann::ordered_json;

// Written by JuiceFS 1.4.1, with the options of the small-options fixture.
constexpr char kOptions[] = R"({
"Name": "small-options",
"UUID": "57049860-44e4-42a3-b4bd-f8c19eba5497",
"Storage": "file",
"Tiers": {
"0": {
"ID": 0,
"StorageClass": "",
"Tag": ""
}
},
"Bucket": "/var/ciderfs-fixture/data/",
"AccessKey": "fixture-ak",
"SecretKey": "riccX+0TYxwgP+HPlLl6iGSGWQ0rC5b/CLtCLvd/zX57yLqkk+Q=",
"BlockSize": 4096,
"Compression": "none",
"Capacity": 10737418240,
"Inodes": 10000,
"EncryptAlgo": "aes256gcm-rsa",
"KeyEncrypted": true,
"UploadLimit": 100,
"DownloadLimit": 200,
"TrashDays": 0,
"MetaVersion": 1,
"MinClientVersion": "1.1.0-A",
"MaxClientVersion": "2.0.0",
"EnableACL": false
})";

Volume new_volume() {
  Volume volume;
  volume.name = "test";
  volume.uuid = "57049860-44e4-42a3-b4bd-f8c19eba5497";
  volume.storage = "file";
  volume.bucket = "/data/";
  volume.tiers[0] = {};
  return volume;
}

// kOptions with one field set to other JSON, or with a further field.
std::string with_field(const char* name, const char* json) {
  auto document = ordered_json::parse(kOptions);
  document[name] = ordered_json::parse(json);
  return document.dump();
}

// The document with its sealed fields blanked: their nonce differs every time.
std::string without_sealed(std::string_view json) {
  auto document = ordered_json::parse(json);
  if (!document.value("KeyEncrypted", false)) return std::string(json);
  std::string out(json);
  for (const char* name : {"SecretKey", "SessionToken", "EncryptKey"}) {
    if (!document.contains(name)) continue;
    const std::string sealed = document[name];
    out.replace(out.find(sealed), sealed.size(), "sealed, length " + std::to_string(sealed.size()));
  }
  return out;
}

TEST(Volume, ReadsADocumentOfJuicefs) {
  Volume volume = decode_volume(kOptions).value();
  EXPECT_EQ(volume.name, "small-options");
  EXPECT_EQ(volume.access_key, "fixture-ak");
  EXPECT_EQ(volume.secret_key, "fixture-sk");
  EXPECT_EQ(volume.block_size, 4096);
  EXPECT_EQ(volume.capacity, 10ULL << 30);
  EXPECT_EQ(volume.inodes, 10000u);
  EXPECT_EQ(volume.upload_limit, 100);
  EXPECT_EQ(volume.download_limit, 200);
  EXPECT_EQ(volume.trash_days, 0);
  EXPECT_EQ(volume.max_client_version, "2.0.0");
  EXPECT_FALSE(volume.dir_stats);
  EXPECT_TRUE(volume.key_encrypted);
  EXPECT_EQ(volume.unknown, "");
  EXPECT_EQ(volume.tiers, (std::map<int, Tier>{{0, Tier{}}}));
  EXPECT_EQ(without_sealed(encode_volume(volume).value()), without_sealed(kOptions));
}

TEST(Volume, ComesBackWithItsSecrets) {
  Volume volume = new_volume();
  volume.key_encrypted = true;
  volume.secret_key = "s3cret";
  volume.session_token = std::string(5000, 't');
  volume.encrypt_key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n";
  const std::string json = encode_volume(volume).value();
  EXPECT_EQ(json.find("s3cret"), json.npos);
  EXPECT_EQ(decode_volume(json).value(), volume);
  EXPECT_NE(encode_volume(volume).value(), json) << "a nonce was used twice";
}

TEST(Volume, PlainSecretsStayPlain) {
  Volume volume = new_volume();
  volume.secret_key = "s3cret";
  const std::string json = encode_volume(volume).value();
  EXPECT_NE(json.find("\"SecretKey\": \"s3cret\""), json.npos);
  EXPECT_EQ(decode_volume(json).value(), volume);
}

TEST(Volume, SecretsThatDoNotOpen) {
  EXPECT_EQ(code_of(decode_volume(with_field("UUID", "\"another\""))), EINVAL);
  for (const char* sealed : {"\"x\"", "\"====\"", "\"\\u0001abc\"", "\"cmljYw==\"",
                             "\"riccX+0TYxwgP+HPlLl6iGSGWQ0rC5b/CLtCLvd/zX57yLqkk+A=\""}) {
    auto volume = decode_volume(with_field("SecretKey", sealed));
    ASSERT_FALSE(volume) << sealed;
    EXPECT_EQ(volume.error().code, EINVAL);
    EXPECT_TRUE(volume.error().message.starts_with("SecretKey")) << volume.error().message;
  }
  EXPECT_EQ(code_of(decode_volume(with_field("EncryptAlgo", "\"sm4gcm\""))), ENOTSUP);
}

TEST(Volume, RemovedSecretsCanBeSetAgain) {
  Volume volume = decode_volume(with_field("SecretKey", "\"removed\"")).value();
  EXPECT_EQ(code_of(check_secrets(volume)), EINVAL);
  EXPECT_NE(encode_volume(volume).value().find("\"SecretKey\": \"removed\""), std::string::npos);
  volume.secret_key = "new";
  EXPECT_TRUE(check_secrets(volume));
  EXPECT_EQ(decode_volume(encode_volume(volume).value()).value().secret_key, "new");
}

TEST(Volume, SealedTextIsTakenWithLineBreaks) {
  const std::string uuid = "u";
  std::string sealed = seal_secret(uuid, "secret").value();
  sealed.insert(10, "\r\n");
  EXPECT_EQ(unseal_secret(uuid, sealed).value(), "secret");
  EXPECT_EQ(unseal_secret(uuid, seal_secret(uuid, "").value()).value(), "");
}

TEST(Volume, UnknownFieldsSurviveInOrder) {
  auto document = ordered_json::parse(kOptions);
  document["Zeta"] = {{"b", 1}, {"a", {1, 2, 3}}};
  document["RangerService"] = "<ranger>";
  document["Alpha"] = nullptr;
  Volume volume = decode_volume(document.dump()).value();
  volume.trash_days = 7;
  const auto back = ordered_json::parse(encode_volume(volume).value());
  EXPECT_EQ(back["Zeta"], document["Zeta"]);
  std::vector<std::string> names;
  for (const auto& [key, value] : back.items()) names.push_back(key);
  ASSERT_GT(names.size(), 4u);
  names.erase(names.begin(), names.end() - 4);
  // Ranger's fields have a place of their own, the rest comes last.
  EXPECT_EQ(names, (std::vector<std::string>{"EnableACL", "RangerService", "Zeta", "Alpha"}));
  EXPECT_EQ(back["TrashDays"], 7);
  EXPECT_EQ(back["RangerService"], "<ranger>");
}

TEST(Volume, EscapesAsGoDoes) {
  Volume volume = new_volume();
  volume.access_key = "a<b>&\"\\\t\x01\x7f\xc3\xa9\xe2\x80\xa8";
  const std::string json = encode_volume(volume).value();
  EXPECT_NE(json.find(R"("AccessKey": "a\u003cb\u003e\u0026\"\\\t\u0001)"
                      "\x7f\xc3\xa9"
                      R"(\u2028")"),
            json.npos)
      << json;
  EXPECT_EQ(decode_volume(json).value().access_key, volume.access_key);
}

TEST(Volume, TextThatIsNotUtf8IsRefused) {
  Volume volume = new_volume();
  volume.bucket = "\xff";
  EXPECT_EQ(code_of(encode_volume(volume)), EINVAL);
  EXPECT_EQ(code_of(decode_volume("{\"Name\": \"\xff\"}")), EINVAL);
}

TEST(Volume, TiersStandInTheOrderOfTheirText) {
  Volume volume = new_volume();
  for (int id : {0, 1, 2, 10}) volume.tiers[id] = {id, "class" + std::to_string(id), "k=v"};
  const std::string json = encode_volume(volume).value();
  EXPECT_LT(json.find("\"10\": {"), json.find("\"2\": {"));
  EXPECT_EQ(decode_volume(json).value().tiers, volume.tiers);
}

TEST(Volume, DocumentsBefore14HaveNoTiers) {
  auto document = ordered_json::parse(kOptions);
  document.erase("Tiers");
  document["StorageClass"] = "STANDARD_IA";
  const std::map<int, Tier> want = {{0, Tier{0, "STANDARD_IA", ""}}};
  EXPECT_EQ(decode_volume(document.dump()).value().tiers, want);
  document["Tiers"] = nullptr;
  EXPECT_EQ(decode_volume(document.dump()).value().tiers, want);
}

TEST(Volume, WrongValuesNameTheirField) {
  const std::pair<const char*, const char*> cases[] = {
      {"Name", "5"},
      {"BlockSize", "\"4096\""},
      {"BlockSize", "4096.5"},
      {"BlockSize", "99999999999999999999999"},
      {"TrashDays", "9223372036854775807"},
      {"Shards", "-9223372036854775808"},
      {"Capacity", "-1"},
      {"UploadLimit", "18446744073709551615"},
      {"DirStats", "1"},
      {"Tiers", "[]"},
      {"Tiers", "{\"0\": 1}"},
      {"Tiers", "{\"1\": {\"ID\": 2}}"},
      {"Tiers", "{\"256\": {\"ID\": 256}}"},
      {"MaxClientVersion", "{}"},
  };
  for (const auto& [name, json] : cases) {
    auto volume = decode_volume(with_field(name, json));
    ASSERT_FALSE(volume) << name << " " << json;
    EXPECT_EQ(volume.error().code, EINVAL);
    EXPECT_NE(volume.error().message.find(name), std::string::npos) << volume.error().message;
  }
}

TEST(Volume, DocumentsThatAreNone) {
  EXPECT_EQ(code_of(decode_volume("")), EINVAL);
  EXPECT_EQ(code_of(decode_volume("[]")), EINVAL);
  EXPECT_EQ(code_of(decode_volume("{\"Name\": \"x\"")), EINVAL);
  EXPECT_EQ(code_of(decode_volume("{}")), EINVAL);
  EXPECT_EQ(code_of(decode_volume(with_field("Name", "null"))), EINVAL);
  EXPECT_EQ(code_of(decode_volume(with_field("UUID", "\"\""))), EINVAL);
  EXPECT_EQ(code_of(decode_volume(with_field("BlockSize", "0"))), EINVAL);
  EXPECT_EQ(code_of(decode_volume(with_field("Shards", "257"))), EINVAL);
  const std::string deep = "{\"x\": " + std::string(200000, '[') + std::string(200000, ']') + "}";
  EXPECT_EQ(code_of(decode_volume(deep)), EINVAL);
}

TEST(Volume, NullIsTheZeroValue) {
  EXPECT_EQ(decode_volume(with_field("Capacity", "null")).value().capacity, 0u);
}

TEST(Volume, CheckNames) {
  Volume volume = new_volume();
  for (const char* name :
       {"abc", "a-b", "0-0", "a23456789012345678901234567890123456789012345678901234567890123"}) {
    volume.name = name;
    EXPECT_TRUE(check_volume(volume)) << name;
  }
  for (const char* name : {"", "ab", "-ab", "ab-", "Abc", "a_b", "a b", "a\nb",
                           "a234567890123456789012345678901234567890123456789012345678901234"}) {
    volume.name = name;
    EXPECT_EQ(code_of(check_volume(volume)), EINVAL) << name;
  }
}

TEST(Volume, CheckBlockSizesNamesTheNearest) {
  Volume volume = new_volume();
  for (int kib : {64, 128, 4096, 16384}) {
    volume.block_size = kib;
    EXPECT_TRUE(check_volume(volume)) << kib;
  }
  auto message = [&](int kib) {
    volume.block_size = kib;
    auto status = check_volume(volume);
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(message(5000),
            "block size 5000 KiB is not a power of two; the nearest are 4096 KiB and 8192 KiB");
  EXPECT_NE(message(32).find("smallest"), std::string::npos);
  EXPECT_NE(message(-4).find("smallest"), std::string::npos);
  EXPECT_NE(message(32768).find("largest"), std::string::npos);
}

TEST(Volume, CheckOtherFields) {
  auto judge = [](auto change) {
    Volume volume = new_volume();
    change(volume);
    return code_of(check_volume(volume));
  };
  EXPECT_EQ(judge([](Volume& v) { v.compression = "lz4"; }), 0);
  EXPECT_EQ(judge([](Volume& v) { v.compression = "gzip"; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.encrypt_algo = "chacha20-rsa"; }), 0);
  EXPECT_EQ(judge([](Volume& v) { v.encrypt_algo = "rot13"; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.shards = 4; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.shards = 4, v.bucket = "/data/%d/"; }), 0);
  EXPECT_EQ(judge([](Volume& v) { v.shards = 257, v.bucket = "/data/%d/"; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.trash_days = -1; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.storage = ""; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.min_client_version = "new"; }), EINVAL);
  EXPECT_EQ(judge([](Volume& v) { v.upload_limit = -1; }), EINVAL);
}

// A volume to be made gets its UUID after it was checked; a stored one must have it.
TEST(Volume, UuidIsDemandedWhereItIsRead) {
  Volume volume = new_volume();
  volume.uuid = "";
  EXPECT_EQ(code_of(check_volume(volume)), 0);
  auto setting = encode_volume(volume);
  ASSERT_TRUE(setting.has_value());
  EXPECT_EQ(code_of(decode_volume(*setting)), EINVAL);
}

TEST(Volume, NeededClientVersion) {
  Volume volume = new_volume();
  EXPECT_EQ(needed_client_version(volume), "1.1.0-A");
  volume.enable_acl = true;
  EXPECT_EQ(needed_client_version(volume), "1.2.0-A");
  volume.unknown = R"({"RangerRestUrl": "http://ranger"})";
  EXPECT_EQ(needed_client_version(volume), "1.3.0-A");
  volume.tiers[1] = {1, "GLACIER", ""};
  EXPECT_EQ(needed_client_version(volume), "1.4.0-A");
  volume = new_volume();
  volume.unknown = R"({"KerbConf": "x"})";
  EXPECT_EQ(needed_client_version(volume), "1.4.0-A");
}

TEST(VolumeFixture, EverySettingIsWrittenAsItWasRead) {
  CIDER_FIXTURE(dir, "");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (!std::filesystem::exists(entry.path() / "setting.json")) continue;
    SCOPED_TRACE(entry.path());
    const std::string json = testing::read_file(entry.path() / "setting.json");
    auto volume = decode_volume(json);
    ASSERT_TRUE(volume) << volume.error().to_string();
    EXPECT_EQ(without_sealed(encode_volume(*volume).value()), without_sealed(json));
    EXPECT_TRUE(check_volume(*volume));
    EXPECT_TRUE(check_client_version(*volume));
    EXPECT_TRUE(check_secrets(*volume));
    EXPECT_EQ(needed_client_version(*volume), volume->min_client_version);
    count++;
  }
  EXPECT_GE(count, 19);
}

TEST(VolumeFixture, SealedKeysOpen) {
  CIDER_FIXTURE(dir, "");
  auto load = [&](const char* name) {
    return decode_volume(testing::read_file(dir / name / "setting.json")).value();
  };
  EXPECT_EQ(load("small-options").secret_key, "fixture-sk");
  EXPECT_EQ(load("small-aes").encrypt_key, testing::read_file(dir / "test-keys/rsa-pkcs8.pem"));
  EXPECT_EQ(load("small-chacha").encrypt_key, testing::read_file(dir / "test-keys/rsa-traditional.pem"));
}

}  // namespace
}  // namespace cider::meta
