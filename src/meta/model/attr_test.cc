#include "meta/model/attr.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

// Records written by JuiceFS 1.4.1.
constexpr char kRoot[] =
    "0021ff0000000000000000000000006b030e5600000000000000006b030e652a668735000000006b030e652a6687350000001300"
    "000000"
    "0000100000000000000000000000000100";
constexpr char kDirWithAcls[] =
    "0021ed0000000000000000000000006b030e6203c87286000000006b030e6205c9d6c9000000006b030e6205c9d6c90000000300"
    "000000"
    "0000100000000000000000000000000d000000070000000600";
constexpr char kCharDevice[] =
    "0061800000000000000000000000006b030e60310acbbd000000006b030e60310acbbd000000006b030e60310acbbd0000000100"
    "000000"
    "0000000011112c70000000000000000700";
constexpr char kSymlink[] =
    "0031ed0000000000000000000000006b030e6319dbbba0000000006b030e6319dbbba0000000006b030e6319dbbba00000000100"
    "000000"
    "000000050000000000000000000000ad00";

std::string bytes(std::string_view hex) {
  return from_hex(hex).value();
}

Attr sample() {
  Attr attr;
  attr.type = FileType::file;
  attr.mode = 04711;
  attr.uid = 1000;
  attr.gid = 0xFFFFFFFE;
  attr.atime = {-5, 7};
  attr.mtime = {253402300799, 999999999};
  attr.ctime = {1, 2};
  attr.nlink = 3;
  attr.length = 1ULL << 40;
  attr.rdev = 0x12345678;
  attr.parent = 9;
  return attr;
}

TEST(Attr, DecodesTheRootOfARealVolume) {
  Attr attr = decode_attr(bytes(kRoot)).value();
  EXPECT_EQ(attr.type, FileType::directory);
  EXPECT_EQ(attr.mode, 0777);
  EXPECT_EQ(attr.atime, (Time{0x6b030e56, 0}));
  EXPECT_EQ(attr.mtime, (Time{0x6b030e65, 0x2a668735}));
  EXPECT_EQ(attr.nlink, 19u);
  EXPECT_EQ(attr.length, kDirectoryLength);
  EXPECT_EQ(attr.parent, kRootIno);
  EXPECT_EQ(to_hex(encode_attr(attr)), kRoot);
}

TEST(Attr, DecodesOtherRealRecords) {
  Attr dir = decode_attr(bytes(kDirWithAcls)).value();
  EXPECT_EQ(dir.mode, 0755);
  EXPECT_EQ(dir.parent, 13u);
  EXPECT_EQ(dir.access_acl, 7u);
  EXPECT_EQ(dir.default_acl, 6u);
  EXPECT_EQ(dir.tier, 0);
  Attr device = decode_attr(bytes(kCharDevice)).value();
  EXPECT_EQ(device.type, FileType::char_device);
  EXPECT_EQ(device.rdev, makedev(300, 70000));
  Attr link = decode_attr(bytes(kSymlink)).value();
  EXPECT_EQ(link.type, FileType::symlink);
  EXPECT_EQ(link.length, 5u);
  EXPECT_EQ(link.access_acl, 0u);
  EXPECT_EQ(to_hex(encode_attr(dir)), kDirWithAcls);
  EXPECT_EQ(to_hex(encode_attr(device)), kCharDevice);
  EXPECT_EQ(to_hex(encode_attr(link)), kSymlink);
}

TEST(Attr, EveryFormHasItsLengthAndComesBack) {
  Attr plain = sample();
  EXPECT_EQ(encode_attr(plain).size(), 72u);
  Attr with_tier = plain;
  with_tier.tier = 2;
  EXPECT_EQ(encode_attr(with_tier).size(), 73u);
  Attr with_acl = plain;
  with_acl.default_acl = 5;
  EXPECT_EQ(encode_attr(with_acl).size(), 80u);
  Attr with_both = with_acl;
  with_both.tier = 255;
  EXPECT_EQ(encode_attr(with_both).size(), 81u);
  for (const Attr& attr : {plain, with_tier, with_acl, with_both}) {
    std::string record = encode_attr(attr);
    EXPECT_EQ(record.back(), '\0');
    EXPECT_EQ(decode_attr(record).value(), attr);
    record.pop_back();  // a client that doesn't write the spare byte
    EXPECT_EQ(decode_attr(record).value(), attr);
  }
}

TEST(Attr, OldRecordsHaveNoParent) {
  std::string record = encode_attr(sample());
  Attr attr = decode_attr(record.substr(0, 63)).value();
  EXPECT_EQ(attr.parent, 0u);
  attr.parent = sample().parent;
  EXPECT_EQ(attr, sample());
}

TEST(Attr, DamagedRecordsAreErrors) {
  std::string record = encode_attr(sample());
  for (size_t n = 0; n < 63; n++) EXPECT_EQ(code_of(decode_attr(record.substr(0, n))), EIO) << n;
  record[1] = static_cast<char>(0x81);  // type 8
  EXPECT_EQ(code_of(decode_attr(record)), EIO);
  record[1] = 0x01;  // type 0
  EXPECT_EQ(code_of(decode_attr(record)), EIO);
}

TEST(Attr, NanosecondsStayInRange) {
  std::string record = encode_attr(sample());
  record.replace(19, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(decode_attr(record).value().atime, (Time{-5, 999999999}));
}

TEST(Attr, TypeBits) {
  for (unsigned t = 1; t <= 7; t++) {
    FileType back{};
    ASSERT_TRUE(type_from_bits(type_bits(static_cast<FileType>(t)) | 0644, &back));
    EXPECT_EQ(static_cast<unsigned>(back), t);
  }
  EXPECT_EQ(type_bits(FileType::char_device), static_cast<uint32_t>(S_IFCHR));
  EXPECT_EQ(type_bits(static_cast<FileType>(0)), 0u);
  FileType unused{};
  EXPECT_FALSE(type_from_bits(0644, &unused));
}

TEST(Attr, SpaceCountsInUnitsOf4KiB) {
  EXPECT_EQ(align4k(0), 4096u);
  EXPECT_EQ(align4k(4096), 4096u);
  EXPECT_EQ(align4k(4097), 8192u);
  Attr link;
  link.type = FileType::symlink;
  link.length = 5000;
  EXPECT_EQ(space_of(link), 4096u);
}

std::string type_name(FileType type) {
  static const std::map<FileType, std::string> names = {
      {FileType::file, "file"},     {FileType::directory, "dir"},         {FileType::symlink, "symlink"},
      {FileType::fifo, "fifo"},     {FileType::block_device, "blockdev"}, {FileType::char_device, "chardev"},
      {FileType::socket, "socket"},
  };
  return names.at(type);
}

TEST(AttrFixture, EveryRecordComesBackByteForByte) {
  CIDER_FIXTURE(dir, "main-redis");
  int count = 0;
  for (const auto& [key, value] : testing::load_redis_fixture(dir).strings) {
    if (key[0] != 'i') continue;
    auto attr = decode_attr(value);
    ASSERT_TRUE(attr) << key;
    EXPECT_EQ(to_hex(encode_attr(*attr)), to_hex(value)) << key;
    count++;
  }
  EXPECT_GT(count, 190);
}

TEST(AttrFixture, ValuesAreWhatTheMountShowed) {
  CIDER_FIXTURE(dir, "main-redis");
  auto keys = testing::load_redis_fixture(dir).strings;
  for (const auto& want : testing::load_expected(dir)) {
    SCOPED_TRACE(want.dump());
    const Ino ino = want["inode"];
    if (ino == kTrashIno) continue;  // shown by the mount itself
    const std::string key = "i" + std::to_string(ino);
    ASSERT_TRUE(keys.contains(key));
    Attr attr = decode_attr(keys[key]).value();
    EXPECT_EQ(type_name(attr.type), want["type"]);
    EXPECT_EQ(attr.mode, std::stoul(want["mode"].get<std::string>(), nullptr, 8));
    EXPECT_EQ(attr.uid, want["uid"]);
    EXPECT_EQ(attr.gid, want["gid"]);
    EXPECT_EQ(attr.nlink, want["nlink"]);
    EXPECT_EQ(attr.length, want["size"]);
    auto check_time = [&](const char* field, Time have) {
      if (!want.contains(field) || have.sec > 9'000'000'000)
        return;  // beyond 2255 int64 nanoseconds don't hold it
      EXPECT_EQ(to_nanos(have), want[field].get<int64_t>()) << field;
    };
    check_time("atime_ns", attr.atime);
    check_time("mtime_ns", attr.mtime);
    check_time("ctime_ns", attr.ctime);
    if (want.contains("rdev_major")) {
      EXPECT_EQ(attr.rdev, makedev(want["rdev_major"].get<unsigned>(), want["rdev_minor"].get<unsigned>()));
    }
  }
}

}  // namespace
}  // namespace cider::meta
