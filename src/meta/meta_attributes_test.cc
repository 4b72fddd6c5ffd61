// setattr, flags, atime; xattrs and ACLs.
#include <fcntl.h>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

CIDER_META_TEST(AttributesTest);

TEST_P(AttributesTest, ModeOwnerAndTimesAreSet) {
  make();
  Ino file = mkfile("f");
  Time early{-2'000'000'000, 999'999'999};
  auto done = a().setattr(
      Caller{}, file, {.mode = 0600, .uid = 7, .gid = 8, .atime = early, .mtime = Time{5'000'000'000, 1}});
  ASSERT_TRUE(done);
  Attr got = b().getattr(file).value();
  EXPECT_EQ(got, *done);
  EXPECT_EQ(got.mode, 0600);
  EXPECT_EQ(got.uid, 7u);
  EXPECT_EQ(got.gid, 8u);
  EXPECT_EQ(got.atime, early) << "before 1970, to the nanosecond";
  EXPECT_EQ(got.mtime, (Time{5'000'000'000, 1}));
  EXPECT_EQ(code_of(a().setattr(Caller{}, 4711, {.mode = 0})), ENOENT);
}

TEST_P(AttributesTest, OnlyTheOwnerChangesWhatIsHis) {
  make();
  Ino file = mkfile("f", kRootIno, 0644, user(1, 1));
  Caller owner = user(1, 1, {30}), other = user(2, 2);
  auto change = [&](const Caller& c, const AttrChange& what) { return code_of(a().setattr(c, file, what)); };
  EXPECT_EQ(change(other, {.mode = 0777}), EPERM);
  EXPECT_EQ(change(other, {.uid = 2}), EPERM);
  EXPECT_EQ(change(other, {.uid = 1}), EPERM) << "not even to the present owner";
  EXPECT_EQ(change(other, {.gid = 2}), EPERM);
  EXPECT_EQ(change(other, {.mtime = Time{1, 0}}), EPERM);
  EXPECT_EQ(change(other, {.atime_now = true, .mtime_now = true}), EACCES);
  EXPECT_EQ(change(owner, {.uid = 2}), EPERM);
  EXPECT_EQ(change(owner, {.uid = 1}), 0);
  EXPECT_EQ(change(owner, {.gid = 31}), EPERM);
  EXPECT_EQ(change(owner, {.gid = 30}), 0);
  EXPECT_EQ(change(owner, {.mode = 0666}), 0);
  EXPECT_EQ(change(other, {.atime_now = true, .mtime_now = true}), 0);
}

TEST_P(AttributesTest, SetidBitsGoWhenTheyMust) {
  make();
  Ino file = mkfile("f", kRootIno, 0644, user(1, 1));
  auto mode_after = [&](uint16_t mode, const Caller& caller, const AttrChange& what) {
    EXPECT_TRUE(a().setattr(Caller{}, file, {.mode = mode}));
    EXPECT_TRUE(a().setattr(caller, file, what));
    return attr(file).mode;
  };
  EXPECT_EQ(mode_after(06755, Caller{}, {.gid = 1}), 0755);
  EXPECT_EQ(mode_after(06745, Caller{}, {.uid = 1}), 02745)
      << "setgid without group execute marks mandatory locking";
  EXPECT_EQ(mode_after(06755, Caller{}, {.kill_suidgid = true}), 0755);
  EXPECT_EQ(mode_after(0755, user(1, 9), {.mode = 02755}), 0755) << "setgid needs membership";
  EXPECT_EQ(mode_after(0755, user(1, 1), {.mode = 02755}), 02755);
  Ino dir = mkdir("d", kRootIno, 02755);
  EXPECT_TRUE(a().setattr(Caller{}, dir, {.gid = 5}));
  EXPECT_EQ(attr(dir).mode, 02755) << "directories keep it";
}

TEST_P(AttributesTest, ImmutableAndAppendHold) {
  make();
  Ino file = mkfile("f"), dir = mkdir("d");
  mkfile("inner", dir);
  EXPECT_EQ(code_of(a().set_flags(user(1, 1), file, kFlagImmutable)), EPERM);
  EXPECT_EQ(code_of(a().set_flags(Caller{}, file, 64)), EOPNOTSUPP);
  ASSERT_TRUE(a().set_flags(Caller{}, file, kFlagImmutable));
  ASSERT_TRUE(a().set_flags(Caller{}, dir, kFlagImmutable));
  Caller root;
  EXPECT_EQ(code_of(a().setattr(root, file, {.mode = 0600})), EPERM);
  EXPECT_EQ(code_of(a().setattr(root, file, {.uid = 1})), EPERM);
  EXPECT_EQ(code_of(a().setattr(root, file, {.atime_now = true, .mtime_now = true})), EPERM);
  EXPECT_EQ(code_of(a().setxattr(root, file, "user.a", "1", XattrMode::set)), EPERM);
  EXPECT_EQ(code_of(a().truncate(root, file, 10, true, false)), EPERM);
  EXPECT_EQ(code_of(a().fallocate(root, file, 0, 0, 10)), EPERM);
  EXPECT_EQ(code_of(a().open(root, file, O_WRONLY)), EPERM);
  EXPECT_EQ(code_of(a().open(root, file, O_WRONLY | O_APPEND)), EPERM);
  EXPECT_EQ(code_of(a().unlink(root, kRootIno, "f")), EPERM);
  EXPECT_EQ(code_of(a().link(root, file, kRootIno, "g")), EPERM);
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "g"), EPERM);
  EXPECT_EQ(code_of(a().access(root, file, 2)), EPERM);
  EXPECT_EQ(code_of(a().mknod(root, dir, "new", NewNode{})), EPERM);
  EXPECT_EQ(code_of(a().unlink(root, dir, "inner")), EPERM);
  EXPECT_EQ(code_of(a().rmdir(root, kRootIno, "d")), EPERM);
  ASSERT_TRUE(a().set_flags(root, file, kFlagAppend));
  ASSERT_TRUE(a().set_flags(root, dir, kFlagAppend));
  EXPECT_EQ(code_of(a().open(root, file, O_WRONLY)), EPERM);
  EXPECT_EQ(code_of(a().open(root, file, O_WRONLY | O_APPEND)), 0);
  EXPECT_EQ(code_of(a().open(root, file, O_WRONLY | O_APPEND | O_TRUNC)), EPERM);
  EXPECT_EQ(code_of(a().truncate(root, file, 10, true, false)), EPERM);
  EXPECT_EQ(code_of(a().setattr(root, file, {.mtime = Time{1, 0}})), EPERM);
  EXPECT_EQ(code_of(a().setattr(root, file, {.atime_now = true, .mtime_now = true})), 0);
  EXPECT_EQ(code_of(a().fallocate(root, file, 1, 0, 10)), 0);
  EXPECT_EQ(code_of(a().fallocate(root, file, 3, 0, 10)), EPERM);
  EXPECT_EQ(code_of(a().mknod(root, dir, "new", NewNode{})), 0);
  EXPECT_EQ(code_of(a().unlink(root, dir, "inner")), EPERM);
  EXPECT_EQ(rename(dir, "inner", kRootIno, "x"), EPERM);
  ASSERT_TRUE(a().set_flags(root, file, 0));
  EXPECT_EQ(code_of(a().unlink(root, kRootIno, "f")), 0);
}

TEST_P(AttributesTest, AtimeMovesAsTheMountSays) {
  testing::VolumeSetup setup;
  setup.options.atime = AtimeMode::relatime;
  make(setup);
  Ino file = mkfile("f");
  Attr before = attr(file);
  ASSERT_TRUE(a().touch_atime(file, before));
  Attr after = attr(file);
  EXPECT_GT(after.atime, before.atime);
  EXPECT_EQ(after.ctime, before.ctime);
  ASSERT_TRUE(a().touch_atime(file, after));
  EXPECT_EQ(attr(file).atime, after.atime) << "newer than mtime and not a day old";
  clock().advance(25 * 3600);
  ASSERT_TRUE(a().touch_atime(file, after));
  EXPECT_GT(attr(file).atime, after.atime);
}

TEST_P(AttributesTest, XattrsAreKept) {
  make();
  Ino file = mkfile("f");
  auto set = [&](std::string_view name, std::string_view value, XattrMode mode = XattrMode::set) {
    return code_of(a().setxattr(Caller{}, file, name, value, mode));
  };
  Attr before = attr(file);
  EXPECT_EQ(set("user.a", std::string("\0x", 2)), 0);
  EXPECT_GT(attr(file).ctime, before.ctime);
  EXPECT_EQ(attr(file).mtime, before.mtime);
  EXPECT_EQ(set("user.a", "2", XattrMode::create), EEXIST);
  EXPECT_EQ(set("user.b", "2", XattrMode::replace), ENODATA);
  // The TiKV of the tests keeps no empty values, and JuiceFS cannot read them there.
  const std::string empty = GetParam() == testing::Engine::tikv ? "none" : "";
  EXPECT_EQ(set("user.b", empty, XattrMode::create), 0);
  EXPECT_EQ(b().getxattr(Caller{}, file, "user.a").value(), std::string("\0x", 2));
  EXPECT_EQ(b().getxattr(Caller{}, file, "user.b").value(), empty);
  EXPECT_EQ(code_of(a().getxattr(Caller{}, file, "user.c")), ENODATA);
  auto names = a().listxattr(Caller{}, file).value();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"user.a", "user.b"}));
  EXPECT_EQ(set("", "x"), ERANGE);
  EXPECT_EQ(set(std::string(256, 'n'), "x"), ERANGE);
  // The type of MySQL's column ends a byte earlier.
  EXPECT_EQ(set("user.big", std::string(65535, 'v')), 0);
  EXPECT_EQ(set("user.big", std::string(65536, 'v')), testing::has_short_blobs(GetParam()) ? ENOSPC : 0);
  EXPECT_EQ(set("user.big", std::string(65537, 'v')), E2BIG);
  before = attr(file);
  EXPECT_EQ(code_of(a().removexattr(Caller{}, file, "user.a")), 0);
  EXPECT_GT(attr(file).ctime, before.ctime);
  EXPECT_EQ(code_of(a().removexattr(Caller{}, file, "user.a")), ENODATA);
  EXPECT_EQ(code_of(a().setxattr(Caller{}, 4711, "user.a", "1", XattrMode::set)), ENOENT);
  EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
}

AclRule named_user(uint32_t uid, uint16_t perm, uint16_t mask = 7) {
  AclRule rule;
  rule.owner = 7;
  rule.group = 5;
  rule.mask = mask;
  rule.other = 0;
  rule.users = {{uid, perm}};
  return rule;
}

TEST_P(AttributesTest, AclsGrantAndFollowTheMode) {
  make({.acl = true});
  Ino file = mkfile("f", kRootIno, 0640);
  EXPECT_EQ(code_of(a().get_acl(file, AclKind::access)), ENODATA);
  EXPECT_EQ(code_of(a().open(user(9, 9), file, O_RDWR)), EACCES);
  ASSERT_TRUE(a().set_acl(Caller{}, file, AclKind::access, named_user(9, 6), false));
  EXPECT_EQ(b().get_acl(file, AclKind::access).value(), named_user(9, 6));
  EXPECT_EQ(attr(file).mode, 0770);
  EXPECT_EQ(code_of(b().open(user(9, 9), file, O_RDWR)), 0);
  b().close(file);
  ASSERT_TRUE(a().setattr(Caller{}, file, {.mode = 0740}));
  EXPECT_EQ(a().get_acl(file, AclKind::access).value().mask, 4);
  EXPECT_EQ(code_of(b().open(user(9, 9), file, O_RDWR)), EACCES) << "the mask follows the mode's group bits";
  EXPECT_EQ(code_of(a().set_acl(user(9, 9), file, AclKind::access, named_user(9, 7), false)), EPERM);
  EXPECT_EQ(code_of(a().set_acl(Caller{}, file, AclKind::default_, named_user(9, 7), false)), EACCES);
  ASSERT_TRUE(a().set_acl(Caller{}, file, AclKind::access, AclRule{}, false));
  EXPECT_EQ(code_of(a().get_acl(file, AclKind::access)), ENODATA);
  AclRule minimal;
  minimal.owner = 6;
  minimal.group = 4;
  minimal.other = 0;
  ASSERT_TRUE(a().set_acl(Caller{}, file, AclKind::access, minimal, false));
  EXPECT_EQ(attr(file).mode, 0640);
  EXPECT_EQ(attr(file).access_acl, 0u) << "folds into the mode";
}

TEST_P(AttributesTest, DefaultAclsAreInherited) {
  make({.acl = true});
  Ino dir = mkdir("d", kRootIno, 0755);
  ASSERT_TRUE(a().set_acl(Caller{}, dir, AclKind::default_, named_user(9, 7), false));
  Caller masked;
  masked.umask = 077;
  Ino file = mkfile("f", dir, 0664, masked);
  EXPECT_EQ(attr(file).mode, 0660) << "the default ACL stands in for the umask";
  EXPECT_EQ(a().get_acl(file, AclKind::access).value().mask, 6);
  EXPECT_EQ(code_of(a().get_acl(file, AclKind::default_)), ENODATA);
  Ino sub = mkdir("sub", dir, 0777, masked);
  EXPECT_EQ(a().get_acl(sub, AclKind::default_).value(), named_user(9, 7));
  EXPECT_EQ(a().get_acl(sub, AclKind::access).value(), named_user(9, 7));
}

TEST_P(AttributesTest, WithoutAclsTheyAreRefused) {
  make();
  EXPECT_EQ(code_of(a().set_acl(Caller{}, mkfile("f"), AclKind::access, named_user(9, 6), false)),
            EOPNOTSUPP);
}

}  // namespace
}  // namespace cider::meta
