// lookup, mknod, create, link, unlink, rmdir, readlink, paths.
#include <fcntl.h>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

CIDER_META_TEST(NamesTest);

TEST_P(NamesTest, EachTypeOfNodeIsMadeAsAsked) {
  make();
  struct Case {
    FileType type;
    uint64_t length;
    uint32_t nlink, rdev;
  };
  for (const Case& c : {Case{FileType::file, 0, 1, 7},
                        {FileType::directory, 4096, 2, 0},
                        {FileType::fifo, 0, 1, 7},
                        {FileType::block_device, 0, 1, 7},
                        {FileType::char_device, 0, 1, 7},
                        {FileType::socket, 0, 1, 7},
                        {FileType::symlink, 3, 1, 0}}) {
    std::string name = "n" + std::to_string(static_cast<int>(c.type));
    Caller caller = user(0, 0);
    caller.umask = 027;
    NewNode node{c.type, 0777, 7, c.type == FileType::symlink ? "a/b" : ""};
    auto made = a().mknod(caller, kRootIno, name, node);
    ASSERT_TRUE(made);
    Attr got = b().getattr(made->ino).value();
    EXPECT_EQ(got, made->attr);
    EXPECT_EQ(got.type, c.type);
    EXPECT_EQ(got.length, c.length);
    EXPECT_EQ(got.nlink, c.nlink);
    EXPECT_EQ(got.rdev, c.rdev);
    EXPECT_EQ(got.mode, c.type == FileType::symlink ? 0777 : 0750) << "umask counts, but not for symlinks";
    EXPECT_EQ(got.parent, kRootIno);
    EXPECT_EQ(b().lookup(Caller{}, kRootIno, name).value().ino, made->ino);
  }
  EXPECT_EQ(attr(kRootIno).nlink, 3u);
}

TEST_P(NamesTest, BadNamesAndTargetsAreRefused) {
  make();
  Ino file = mkfile("file");
  NewNode node{FileType::file, 0644, 0, {}};
  auto mknod = [&](Ino dir, std::string_view name) { return code_of(a().mknod(Caller{}, dir, name, node)); };
  EXPECT_EQ(mknod(kRootIno, "file"), EEXIST);
  EXPECT_EQ(mknod(kRootIno, ""), ENOENT);
  EXPECT_EQ(mknod(kRootIno, "."), EEXIST);
  EXPECT_EQ(mknod(kRootIno, "a/b"), EINVAL);
  EXPECT_EQ(mknod(kRootIno, std::string(255, 'x')), 0);
  EXPECT_EQ(mknod(kRootIno, std::string(256, 'x')), ENAMETOOLONG);
  EXPECT_EQ(mknod(kRootIno, ".trash"), EPERM);
  EXPECT_EQ(mknod(file, "x"), ENOTDIR);
  EXPECT_EQ(mknod(4711, "x"), ENOENT);
  auto symlink = [&](std::string_view target) {
    return code_of(a().mknod(Caller{}, kRootIno, "s" + std::to_string(target.size()),
                             {FileType::symlink, 0777, 0, target}));
  };
  EXPECT_EQ(symlink(""), ENOENT);
  EXPECT_EQ(symlink(std::string(4095, 't')), 0);
  EXPECT_EQ(symlink(std::string(4096, 't')), ENAMETOOLONG);
  EXPECT_EQ(code_of(a().lookup(Caller{}, kRootIno, std::string(256, 'x'))), ENAMETOOLONG);
  EXPECT_EQ(code_of(a().readlink(Caller{}, file)), EINVAL);
}

TEST_P(NamesTest, DirectoryTimesAndLinksFollowItsEntries) {
  make();
  Ino dir = mkdir("dir");
  auto moved = [&](auto change) {
    Attr before = attr(dir);
    change();
    Attr after = attr(dir);
    EXPECT_EQ(before.mtime < after.mtime, before.ctime < after.ctime);
    return after.mtime > before.mtime;
  };
  EXPECT_TRUE(moved([&] { mkdir("sub", dir); }));
  EXPECT_EQ(attr(dir).nlink, 3u);
  EXPECT_TRUE(moved([&] { mkfile("f", dir); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(a().link(Caller{}, mkfile("other"), dir, "l")); }));
  EXPECT_FALSE(moved([&] { EXPECT_EQ(code_of(a().unlink(Caller{}, dir, "none")), ENOENT); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(a().unlink(Caller{}, dir, "f")); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(a().rmdir(Caller{}, dir, "sub")); }));
  EXPECT_EQ(attr(dir).nlink, 2u);
}

TEST_P(NamesTest, CommitsTellHowTheyLeftTheirDirectories) {
  make();
  const Ino d = mkdir("d"), e = mkdir("e");
  const Ino file = mkfile("f", d);
  ChangedDirs dirs;
  const auto check = [&](std::initializer_list<Ino> changed, const char* what) {
    EXPECT_EQ(dirs.count, changed.size()) << what;
    for (Ino dir : changed) EXPECT_EQ(dirs.attr(dir), b().getattr(dir).value()) << what;
    dirs = {};
  };
  bool created = false;
  ASSERT_TRUE(a().create(Caller{}, d, "c", 0644, true, &created, O_RDWR, &dirs));
  check({d}, "create");
  const NewNode folder{FileType::directory, 0755, 0, {}};
  const Ino sub = made(a().mknod(Caller{}, d, "sub", folder, &dirs));
  check({d}, "mkdir");
  ASSERT_TRUE(a().link(Caller{}, file, e, "l", &dirs));
  check({e}, "link");
  ASSERT_TRUE(a().rename(Caller{}, d, "c", d, "r", 0, &dirs));
  check({d}, "rename within a directory");
  ASSERT_TRUE(a().rename(Caller{}, d, "sub", e, "sub", 0, &dirs));
  check({d, e}, "rename");
  ASSERT_TRUE(a().rename(Caller{}, d, "r", e, "sub", kRenameExchange, &dirs));
  check({d, e}, "exchange");
  ASSERT_TRUE(a().rename(Caller{}, e, "sub", e, "l", 0, &dirs));
  check({e}, "rename over a file");
  ASSERT_TRUE(a().unlink(Caller{}, e, "l", false, &dirs));
  check({e}, "unlink");
  ASSERT_TRUE(a().rmdir(Caller{}, d, "r", false, &dirs));
  check({d}, "rmdir");
  EXPECT_NE(sub, 0u);
  EXPECT_EQ(code_of(a().unlink(Caller{}, d, "absent", false, &dirs)), ENOENT);
  EXPECT_FALSE(dirs.attr(d));
}

TEST_P(NamesTest, RemovalsAreRefusedAsLinuxDoes) {
  make();
  Ino dir = mkdir("dir");
  mkfile("inner", dir);
  Ino file = mkfile("file");
  EXPECT_EQ(code_of(a().unlink(Caller{}, kRootIno, "dir")), EISDIR);
  EXPECT_EQ(code_of(a().rmdir(Caller{}, kRootIno, "file")), ENOTDIR);
  EXPECT_EQ(code_of(a().rmdir(Caller{}, kRootIno, "dir")), ENOTEMPTY);
  EXPECT_EQ(code_of(a().rmdir(Caller{}, kRootIno, ".")), EINVAL);
  EXPECT_EQ(code_of(a().rmdir(Caller{}, kRootIno, "..")), ENOTEMPTY);
  EXPECT_EQ(code_of(a().unlink(Caller{}, file, "x")), ENOTDIR);
  EXPECT_EQ(code_of(a().unlink(Caller{}, kRootIno, "none")), ENOENT);
  EXPECT_EQ(code_of(a().rmdir(Caller{}, kRootIno, "none")), ENOENT);
}

TEST_P(NamesTest, NamesInARemovedDirectoryAreRefused) {
  make();
  Ino dir = mkdir("dir");
  Ino file = mkfile("file");
  ASSERT_TRUE(b().rmdir(Caller{}, kRootIno, "dir"));
  EXPECT_EQ(code_of(a().mknod(Caller{}, dir, "x", NewNode{})), ENOENT);
  EXPECT_EQ(code_of(a().tmpfile(Caller{}, dir, 0644)), ENOENT);
  EXPECT_EQ(code_of(a().link(Caller{}, file, dir, "x")), ENOENT);
  EXPECT_EQ(rename(kRootIno, "file", dir, "x"), ENOENT);
  EXPECT_TRUE(list(dir).empty());
}

TEST_P(NamesTest, CreateOpensWhatIsThereUnlessExclusive) {
  make();
  bool created = false;
  auto first = a().create(Caller{}, kRootIno, "f", 0640, true, &created);
  ASSERT_TRUE(first);
  EXPECT_TRUE(created);
  EXPECT_EQ(code_of(b().create(Caller{}, kRootIno, "f", 0640, true, &created)), EEXIST);
  auto second = b().create(Caller{}, kRootIno, "f", 0777, false, &created);
  ASSERT_TRUE(second);
  EXPECT_FALSE(created);
  EXPECT_EQ(second->ino, first->ino);
  EXPECT_EQ(second->attr.mode, 0640);
  mkdir("d");
  EXPECT_EQ(code_of(a().create(Caller{}, kRootIno, "d", 0640, false, &created)), EISDIR);
  EXPECT_EQ(code_of(a().create(user(7, 7), kRootIno, "f", 0640, false, &created)), EACCES);
}

TEST_P(NamesTest, CreateIsNeverToldThatTheNameIsAbsent) {
  make();
  std::jthread other([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      (void)b().mknod(Caller{}, kRootIno, "f", NewNode{});
      (void)b().unlink(Caller{}, kRootIno, "f");
    }
  });
  for (int i = 0; i < 1000; ++i) {
    bool created = false;
    auto opened = a().create(Caller{}, kRootIno, "f", 0644, false, &created);
    ASSERT_TRUE(opened) << opened.error().to_string();
    a().close(opened->ino);
  }
}

TEST_P(NamesTest, HardLinksCountAndKeepTheFile) {
  make();
  Ino dir = mkdir("dir");
  Ino file = mkfile("one");
  Attr before = attr(file);
  auto linked = b().link(Caller{}, file, dir, "two");
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->attr.nlink, 2u);
  EXPECT_GT(attr(file).ctime, before.ctime);
  EXPECT_EQ(attr(file).mtime, before.mtime);
  EXPECT_EQ(a().parents(file).value(), (std::map<Ino, uint32_t>{{kRootIno, 1}, {dir, 1}}));
  EXPECT_EQ(a().paths(file).value(), (std::vector<std::string>{"/dir/two", "/one"}));
  ASSERT_TRUE(a().link(Caller{}, file, dir, "three"));
  EXPECT_EQ(a().parents(file).value(), (std::map<Ino, uint32_t>{{kRootIno, 1}, {dir, 2}}));
  EXPECT_EQ(code_of(a().link(Caller{}, file, dir, "three")), EEXIST);
  EXPECT_EQ(code_of(a().link(Caller{}, dir, kRootIno, "d2")), EPERM);
  EXPECT_EQ(code_of(a().link(Caller{}, 4711, kRootIno, "x")), ENOENT);
  EXPECT_EQ(code_of(a().link(Caller{}, file, 4711, "x")), ENOENT);
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "one"));
  EXPECT_EQ(attr(file).nlink, 2u);
  ASSERT_TRUE(a().unlink(Caller{}, dir, "two"));
  ASSERT_TRUE(a().unlink(Caller{}, dir, "three"));
  EXPECT_EQ(code_of(b().getattr(file)), ENOENT);
}

TEST_P(NamesTest, StickyDirectoriesProtectOthersNames) {
  make();
  Ino dir = mkdir("tmp", kRootIno, 01777);
  mkfile("mine", dir, 0666, user(1, 1));
  mkdir("mydir", dir, 0777, user(1, 1));
  EXPECT_EQ(code_of(a().unlink(user(2, 2), dir, "mine")), EPERM);
  EXPECT_EQ(code_of(a().rmdir(user(2, 2), dir, "mydir")), EPERM);
  EXPECT_EQ(rename(dir, "mine", kRootIno, "x", 0, user(2, 2)), EPERM);
  mkfile("his", dir, 0666, user(2, 2));
  EXPECT_EQ(rename(dir, "his", dir, "mine", 0, user(2, 2)), EPERM);
  EXPECT_EQ(code_of(a().unlink(user(1, 1), dir, "mine")), 0);
  EXPECT_EQ(code_of(a().rmdir(user(0, 0), dir, "mydir")), 0);
}

TEST_P(NamesTest, PermissionIsAskedWhereTheKernelDoesNot) {
  make();
  Ino dir = mkdir("dir", kRootIno, 0755);
  Ino closed = mkdir("closed", kRootIno, 0700);
  mkfile("f", dir);
  Caller other = user(5, 5);
  EXPECT_EQ(code_of(a().mknod(other, dir, "x", NewNode{})), EACCES);
  EXPECT_EQ(code_of(a().mknod(other, dir, "f", NewNode{})), EEXIST)
      << "what is there needs no write permission to be found";
  EXPECT_EQ(code_of(a().unlink(other, dir, "f")), EACCES);
  EXPECT_EQ(code_of(a().unlink(other, dir, "none")), ENOENT);
  EXPECT_EQ(code_of(a().lookup(other, closed, "none")), EACCES);
  EXPECT_EQ(code_of(a().access(other, dir, 5)), 0);
  EXPECT_EQ(code_of(a().access(other, dir, 2)), EACCES);
  EXPECT_EQ(code_of(a().access(user(0, 0), closed, 7)), 0);
}

TEST_P(NamesTest, GroupAndSetgidAreInherited) {
  make();
  Ino dir = mkdir("shared", kRootIno, 0777);
  ASSERT_TRUE(a().setattr(Caller{}, dir, {.mode = 02777, .gid = 50}));
  EXPECT_EQ(attr(mkdir("sub", dir, 0755, user(1, 1))).gid, 50u);
  EXPECT_EQ(attr(a().lookup(Caller{}, dir, "sub")->ino).mode, 02755);
  Ino outside = mkfile("f", dir, 02775, user(1, 1));
  EXPECT_EQ(attr(outside).gid, 50u);
  EXPECT_EQ(attr(outside).mode, 0775) << "who is not in the group may not make a file that runs as it";
  EXPECT_EQ(attr(mkfile("g", dir, 02775, user(1, 1, {50}))).mode, 02775);
}

TEST_P(NamesTest, ResolveWalksPathsWithoutFollowingSymlinks) {
  make();
  Ino dir = mkdir("dir");
  Ino file = mkfile("f", dir);
  ASSERT_TRUE(a().mknod(Caller{}, kRootIno, "s", {FileType::symlink, 0777, 0, "dir"}));
  EXPECT_EQ(a().resolve(Caller{}, kRootIno, "/dir//f").value().ino, file);
  EXPECT_EQ(a().resolve(Caller{}, kRootIno, "").value().ino, kRootIno);
  EXPECT_EQ(a().resolve(Caller{}, dir, "..").value().ino, kRootIno);
  EXPECT_EQ(code_of(a().resolve(Caller{}, kRootIno, "s/f")), ENOTDIR);
  EXPECT_EQ(code_of(a().resolve(Caller{}, kRootIno, "dir/x")), ENOENT);
  EXPECT_EQ(code_of(a().resolve(Caller{}, kRootIno, "dir/x/y")), ENOENT);
  EXPECT_EQ(code_of(a().resolve(Caller{}, kRootIno, "dir/f/y")), ENOTDIR);
  EXPECT_EQ(code_of(a().resolve(Caller{}, 12345, "f")), ENOENT);

  Ino closed = mkdir("closed", dir, 0700);
  Ino inner = mkfile("g", closed);
  EXPECT_EQ(a().resolve(Caller{}, kRootIno, "dir/closed/g").value().attr, attr(inner));
  EXPECT_EQ(a().resolve(user(1, 1), kRootIno, "dir/closed").value().ino, closed);
  EXPECT_EQ(code_of(a().resolve(user(1, 1), kRootIno, "dir/closed/g")), EACCES);
  EXPECT_EQ(code_of(a().resolve(user(1, 1), kRootIno, "dir/closed/absent")), EACCES);
}

TEST_P(NamesTest, RemoveTreeRemovesAll) {
  make();
  Ino top = mkdir("top");
  for (int i = 0; i < 5; ++i) {
    Ino sub = mkdir("sub" + std::to_string(i), top);
    for (int j = 0; j < 5; ++j) mkfile("f" + std::to_string(j), mkdir("deep" + std::to_string(j), sub));
  }
  std::atomic<uint64_t> removed{0};
  EXPECT_TRUE(a().remove_tree(Caller{}, kRootIno, "top", true, &removed));
  EXPECT_EQ(removed, 1u + 5 + 25 + 25);
  EXPECT_EQ(code_of(a().lookup(Caller{}, kRootIno, "top")), ENOENT);
  EXPECT_EQ(volume_->dump().used_inodes, 0);
}

TEST_P(NamesTest, LinkRacesWithTheLastUnlink) {
  make();
  for (int round = 0; round < 30; ++round) {
    Ino file = mkfile("f");
    int linked = -1, unlinked = -1;
    std::thread one([&] { linked = code_of(a().link(Caller{}, file, kRootIno, "g")); });
    std::thread two([&] { unlinked = code_of(b().unlink(Caller{}, kRootIno, "f")); });
    one.join();
    two.join();
    EXPECT_EQ(unlinked, 0);
    EXPECT_TRUE(linked == 0 || linked == ENOENT) << linked;
    EXPECT_EQ(code_of(a().getattr(file)), linked);
    if (linked == 0) {
      EXPECT_EQ(attr(file).nlink, 1u);
      EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "g"));
    }
  }
}

TEST_P(NamesTest, RmdirRacesWithCreate) {
  make();
  for (int round = 0; round < 30; ++round) {
    Ino dir = mkdir("d");
    int created = -1, removed = -1;
    std::thread one([&] { created = code_of(a().mknod(Caller{}, dir, "f", NewNode{})); });
    std::thread two([&] { removed = code_of(b().rmdir(Caller{}, kRootIno, "d")); });
    one.join();
    two.join();
    EXPECT_TRUE((created == 0 && removed == ENOTEMPTY) || (created == ENOENT && removed == 0))
        << created << " " << removed;
    std::atomic<uint64_t> count{0};
    if (removed != 0) {
      EXPECT_TRUE(a().remove_tree(Caller{}, kRootIno, "d", true, &count));
    }
  }
}

}  // namespace
}  // namespace cider::meta
