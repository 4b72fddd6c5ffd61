#include "meta/model/acl.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "meta/model/attr.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

// Rule 1 of a volume of JuiceFS 1.4.1, and what its mount gave for system.posix_acl_access.
constexpr char kRule[] = "000600040007000400000002000003e80007000003e9000400000001000007d20005";
constexpr char kXattr[] =
    "0200000001000600ffffffff02000700e803000002000400e903000004000400ffffffff08000500d207000010000700ffffffff"
    "20000400ffffffff";

std::string bytes(std::string_view hex) {
  return from_hex(hex).value();
}

AclRule rule_one() {
  AclRule rule;
  rule.owner = 6;
  rule.group = 4;
  rule.mask = 7;
  rule.other = 4;
  rule.users = {{1000, 7}, {1001, 4}};
  rule.groups = {{2002, 5}};
  return rule;
}

AclRule base_rule(uint16_t owner, uint16_t group, uint16_t other) {
  AclRule rule;
  rule.owner = owner;
  rule.group = group;
  rule.other = other;
  return rule;
}

TEST(Acl, RecordAndXattrOfARealRule) {
  EXPECT_EQ(decode_acl(bytes(kRule)).value(), rule_one());
  EXPECT_EQ(to_hex(encode_acl(rule_one())), kRule);
  EXPECT_EQ(to_hex(acl_to_xattr(rule_one())), kXattr);
  EXPECT_EQ(acl_from_xattr(bytes(kXattr)).value(), rule_one());
}

TEST(Acl, EntriesOfSqlColumns) {
  const std::vector<AclEntry> users = {{1000, 7}, {1001, 4}};
  EXPECT_EQ(to_hex(encode_acl_entries(users)), "000003e80007000003e90004");
  EXPECT_EQ(decode_acl_entries(encode_acl_entries(users)).value(), users);
  EXPECT_TRUE(decode_acl_entries("").value().empty());
  EXPECT_EQ(code_of(decode_acl_entries("1234567")), EIO);
}

TEST(Acl, DamagedRecordsAreErrors) {
  const std::string record = bytes(kRule);
  for (size_t n = 0; n < record.size(); n++) EXPECT_EQ(code_of(decode_acl(record.substr(0, n))), EIO) << n;
  EXPECT_EQ(code_of(decode_acl(record + "x")), EIO);
  std::string huge = record;
  huge.replace(8, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(code_of(decode_acl(huge)), EIO);
}

TEST(Acl, XattrsAreHeldToTheKernelsOrder) {
  constexpr char kVersion[] = "02000000";
  constexpr char kOwner[] = "01000600ffffffff", kUser[] = "02000700e8030000", kGroup[] = "04000400ffffffff";
  constexpr char kNamedGroup[] = "08000500d2070000", kMask[] = "10000700ffffffff",
                 kOther[] = "20000400ffffffff";
  auto judge = [&](std::initializer_list<const char*> parts) {
    std::string hex = kVersion;
    for (const char* part : parts) hex += part;
    return code_of(acl_from_xattr(bytes(hex)));
  };
  EXPECT_EQ(judge({}), 0);
  EXPECT_EQ(judge({kOwner, kGroup, kOther}), 0);
  EXPECT_EQ(judge({kOwner, kGroup, kMask, kOther}), 0);
  EXPECT_EQ(judge({kOwner, kUser, kUser, kGroup, kNamedGroup, kMask, kOther}), 0);
  EXPECT_EQ(judge({kOwner, kUser, kGroup, kOther}), EINVAL) << "no mask";
  EXPECT_EQ(judge({kOwner, kGroup, kNamedGroup, kOther}), EINVAL) << "no mask";
  EXPECT_EQ(judge({kOwner, kGroup}), EINVAL);
  EXPECT_EQ(judge({kGroup, kOther}), EINVAL);
  EXPECT_EQ(judge({kOwner, kOther}), EINVAL);
  EXPECT_EQ(judge({kOwner, kOwner, kGroup, kOther}), EINVAL);
  EXPECT_EQ(judge({kGroup, kOwner, kOther}), EINVAL);
  EXPECT_EQ(judge({kOwner, kGroup, kUser, kMask, kOther}), EINVAL);
  EXPECT_EQ(judge({kOwner, kGroup, kOther, kMask}), EINVAL);
  EXPECT_EQ(judge({kOwner, kGroup, "0300040000000000", kOther}), EINVAL) << "unknown tag";
  EXPECT_EQ(judge({kOwner, kGroup, kOther, "4000040000000000"}), EINVAL) << "unknown tag";
  EXPECT_EQ(judge({"01000800ffffffff", kGroup, kOther}), EINVAL) << "permission above rwx";
  EXPECT_EQ(judge({kOwner, "02000700ffffffff", kGroup, kMask, kOther}), EINVAL) << "user without id";
  EXPECT_EQ(judge({kOwner, kGroup, kOther, "20"}), EINVAL);
  EXPECT_EQ(code_of(acl_from_xattr("")), EINVAL);
  EXPECT_EQ(code_of(acl_from_xattr("\x02")), EINVAL);
  EXPECT_EQ(code_of(acl_from_xattr(bytes("01000000"))), EOPNOTSUPP);
}

TEST(Acl, KindsOfRules) {
  EXPECT_TRUE(AclRule{}.empty());
  EXPECT_TRUE(base_rule(7, 5, 0).minimal());
  EXPECT_FALSE(base_rule(7, 5, 0).empty());
  EXPECT_EQ(base_rule(7, 5, 1).mode(), 0751);
  EXPECT_FALSE(rule_one().minimal());
  EXPECT_EQ(rule_one().mode(), 0674) << "the mask stands where the group's bits were";
}

TEST(Acl, ChildRuleIsCutByTheMode) {
  AclRule child = child_access_rule(rule_one(), 0640);
  AclRule want = rule_one();
  want.owner = 6;
  want.mask = 4;
  want.other = 0;
  EXPECT_EQ(child, want);
  EXPECT_EQ(child.mode(), 0640);
  // Base entries alone stay so: the child's rule folds into its mode.
  EXPECT_EQ(child_access_rule(base_rule(7, 5, 1), 0666), base_rule(6, 4, 0));
}

TEST(Acl, ChmodMovesTheMask) {
  AclRule rule = rule_one();
  apply_mode(&rule, 04751);
  EXPECT_EQ(rule.owner, 7);
  EXPECT_EQ(rule.group, 4);
  EXPECT_EQ(rule.mask, 5);
  EXPECT_EQ(rule.other, 1);
  rule = base_rule(0, 0, 0);
  apply_mode(&rule, 0751);
  EXPECT_EQ(rule, base_rule(7, 5, 1));
}

// A file of user 1, group 10.
bool permits(const AclRule& rule, uint32_t uid, uint32_t gid, std::vector<uint32_t> groups, uint16_t want) {
  return acl_permits(rule, 1, 10, uid, gid, groups, want);
}

TEST(Acl, OwnerIsNotMasked) {
  AclRule rule = rule_one();
  rule.mask = 0;
  EXPECT_TRUE(permits(rule, 1, 99, {}, 6));
  EXPECT_FALSE(permits(rule, 1, 99, {}, 1));
}

TEST(Acl, NamedUserIsMaskedAndFinal) {
  AclRule rule = rule_one();
  EXPECT_TRUE(permits(rule, 1000, 99, {}, 7));
  rule.mask = 5;
  EXPECT_FALSE(permits(rule, 1000, 99, {}, 2));
  EXPECT_TRUE(permits(rule, 1000, 99, {}, 5));
  rule.users[1].perm = 0;
  EXPECT_FALSE(permits(rule, 1001, 2002, {10}, 4)) << "groups and other don't matter to a named user";
}

TEST(Acl, OneMatchingGroupMustGrantAll) {
  AclRule rule = rule_one();
  rule.mask = 7;
  rule.group = 2;
  rule.groups = {{2002, 4}, {2003, 6}};
  rule.other = 7;
  EXPECT_TRUE(permits(rule, 5, 10, {}, 2));
  EXPECT_FALSE(permits(rule, 5, 10, {}, 1)) << "a member doesn't fall through to other";
  EXPECT_FALSE(permits(rule, 5, 10, {2002}, 6)) << "two groups don't add up";
  EXPECT_TRUE(permits(rule, 5, 10, {2002, 2003}, 6));
  EXPECT_TRUE(permits(rule, 5, 2003, {}, 6));
  rule.mask = 4;
  EXPECT_FALSE(permits(rule, 5, 2003, {}, 2));
  EXPECT_TRUE(permits(rule, 5, 2003, {}, 4));
}

TEST(Acl, OtherIsNotMasked) {
  AclRule rule = rule_one();
  rule.mask = 0;
  rule.other = 5;
  EXPECT_TRUE(permits(rule, 5, 99, {98}, 5));
  EXPECT_FALSE(permits(rule, 5, 99, {98}, 2));
}

TEST(Acl, WithoutMaskNothingIsCut) {
  EXPECT_TRUE(permits(base_rule(7, 6, 0), 5, 10, {}, 6));
  EXPECT_FALSE(permits(base_rule(7, 6, 0), 5, 10, {}, 1));
}

TEST(AclFixture, RulesAndXattrsAreWhatJuicefsStoredAndShowed) {
  CIDER_FIXTURE(dir, "main-redis");
  auto fixture = testing::load_redis_fixture(dir);
  const auto& stored = fixture.hashes.at("acl");
  EXPECT_EQ(stored.size(), 9u);
  auto rule_with = [&](uint32_t id) { return decode_acl(stored.at(std::to_string(id))).value(); };
  for (const auto& [id, record] : stored) EXPECT_EQ(encode_acl(decode_acl(record).value()), record) << id;

  int count = 0;
  for (const auto& want : testing::load_expected(dir)) {
    if (!want.contains("acl_xattr_hex")) continue;
    const std::string key = "i" + std::to_string(want["inode"].get<Ino>());
    const Attr attr = decode_attr(fixture.strings.at(key)).value();
    const std::pair<const char*, uint32_t> kinds[] = {{"system.posix_acl_access", attr.access_acl},
                                                      {"system.posix_acl_default", attr.default_acl}};
    for (const auto& [name, id] : kinds) {
      SCOPED_TRACE(key + " " + name);
      ASSERT_EQ(want["acl_xattr_hex"].contains(name), id != 0);
      if (id == 0) continue;
      const AclRule rule = rule_with(id);
      EXPECT_EQ(to_hex(acl_to_xattr(rule)), want["acl_xattr_hex"][name]);
      EXPECT_EQ(acl_from_xattr(acl_to_xattr(rule)).value(), rule);
      if (id == attr.access_acl && id != attr.default_acl) {
        EXPECT_EQ(rule.mode(), attr.mode & 0777);
      }
      count++;
    }
  }
  EXPECT_GE(count, 10);
}

TEST(AclFixture, ChildrenInheritAsJuicefsDid) {
  CIDER_FIXTURE(dir, "main-redis");
  auto fixture = testing::load_redis_fixture(dir);
  auto attr_of = [&](const char* key) { return decode_attr(fixture.strings.at(key)).value(); };
  auto rule_with = [&](uint32_t id) {
    return decode_acl(fixture.hashes.at("acl").at(std::to_string(id))).value();
  };
  const AclRule parent = rule_with(attr_of("i153").default_acl);  // acl/dir-default
  const Attr file = attr_of("i154");                              // inherited-file
  EXPECT_EQ(child_access_rule(parent, 0640), rule_with(file.access_acl));
  const Attr folder = attr_of("i155");  // inherited-dir
  EXPECT_EQ(child_access_rule(parent, 0777), rule_with(folder.access_acl));
  EXPECT_EQ(folder.default_acl, attr_of("i153").default_acl);
}

}  // namespace
}  // namespace cider::meta
