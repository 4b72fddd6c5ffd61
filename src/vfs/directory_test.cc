#include <gtest/gtest.h>
#include <linux/fs.h>

#include <set>
#include <thread>

#include "meta/store/memory/tables.h"
#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using testing::Mount;
using testing::SharedVolume;
using Names = std::vector<std::string>;

TEST(Directory, TheRootShowsInternalFilesUnlessHidden) {
  SharedVolume volume;
  Mount plain(volume);
  EXPECT_EQ(plain.list(kRootIno), (Names{".", "..", ".accesslog", ".stats", ".config", ".trash"}));
  Mount hidden(volume, {.hide_internal = true});
  EXPECT_EQ(hidden.list(kRootIno), (Names{".", ".."}));
  EXPECT_TRUE(hidden.fs.lookup(hidden.root, kRootIno, ".stats"));
  Mount prefixed(volume, {.prefix_internal = true});
  EXPECT_EQ(prefixed.list(kRootIno),
            (Names{".", "..", ".jfs.accesslog", ".jfs.stats", ".jfs.config", ".jfs.trash"}));
  EXPECT_EQ(code_of(prefixed.fs.lookup(prefixed.root, kRootIno, ".stats")), ENOENT);
}

// The kernel asks for a directory after each change of its entries.
TEST(Directory, WhatAChangeMadeOfADirectoryNeedsNoEngine) {
  SharedVolume volume;
  Mount m(volume, {.attr_ttl = std::chrono::hours(1)}), other(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  const auto changes = {
      std::function([&] { m.make(dir, "f"); }),
      std::function([&] { m.mkdir(dir, "sub"); }),
      std::function([&] { ASSERT_TRUE(m.fs.symlink(m.root, dir, "s", "to")); }),
      std::function([&] { ASSERT_TRUE(m.fs.rename(m.root, dir, "f", dir, "g", 0)); }),
      std::function([&] { ASSERT_TRUE(m.fs.link(m.root, m.fs.lookup(m.root, dir, "g")->ino, dir, "h")); }),
      std::function([&] { ASSERT_TRUE(m.fs.unlink(m.root, dir, "g")); }),
      std::function([&] { ASSERT_TRUE(m.fs.rmdir(m.root, dir, "sub")); }),
      std::function([&] { ASSERT_TRUE(m.fs.rename(m.root, dir, "s", kRootIno, "s", 0)); }),
  };
  uint32_t uid = 0;
  for (const auto& change : changes) {
    change();
    const Attr left = other.stat(dir);
    ASSERT_TRUE(other.fs.setattr(other.root, dir, {.uid = ++uid}, {}));
    const AttrReply known = m.fs.getattr(m.root, dir, {}).value();
    EXPECT_EQ(known.attr, left) << "as the commit left it";
    EXPECT_LT(known.attr_ttl, std::chrono::hours(1)) << "from the commit on";
    EXPECT_EQ(m.stat(dir).uid, uid) << "asked again, it asks the engine";
  }
}

TEST(Directory, WhatAChangeMadeOfADirectoryIsForgottenWithTheNextChange) {
  SharedVolume volume;
  Mount m(volume, {.enable_xattr = true});
  const Ino dir = m.mkdir(kRootIno, "d");
  m.make(dir, "f");
  ASSERT_TRUE(m.fs.setattr(m.root, dir, {.mode = 0700}, {}));
  EXPECT_EQ(m.stat(dir).mode, 0700);
  m.make(dir, "g");
  const Time before = m.stat(dir).ctime;
  m.make(dir, "h");
  ASSERT_TRUE(m.fs.setxattr(m.root, dir, "user.a", "1", {}));
  EXPECT_GT(m.stat(dir).ctime, before);
  EXPECT_EQ(m.stat(dir).ctime, volume.engine.copy_tables().nodes.at(dir).ctime);
}

TEST(DirAttrs, ChangesAtOnceAreNotTakenForTheLatest) {
  LocalChanges changes;
  DirAttrs dirs(changes, std::chrono::hours(1));
  const auto first = dirs.start(), second = dirs.start();
  dirs.changed(7, Attr{.uid = 1}, first);
  dirs.changed(7, Attr{.uid = 2}, second);
  EXPECT_FALSE(dirs.take(7)) << "whose commit was the later one is not known";
  dirs.changed(7, Attr{.uid = 3}, dirs.start());
  dirs.changed(8, std::nullopt, dirs.start());
  EXPECT_FALSE(dirs.take(8));
  const auto known = dirs.take(7);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->attr.uid, 3u);
  EXPECT_FALSE(dirs.take(7)) << "only once";
  DirAttrs never(changes, {});
  never.changed(9, Attr{}, never.start());
  EXPECT_FALSE(never.take(9)) << "nothing may be trusted";
}

TEST(Directory, HundredThousandEntriesWhileOthersComeAndGo) {
  SharedVolume volume;
  Mount m(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  constexpr int kEntries = 100'000;
  for (int i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(m.fs.mknod(m.root, dir, "stays" + std::to_string(i), S_IFREG | 0644, 0));
  }
  std::jthread others([&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      const std::string name = "comes" + std::to_string(i % 100);
      (void)m.fs.mknod(m.root, dir, name, S_IFREG | 0644, 0);
      (void)m.fs.unlink(m.root, dir, name);
    }
  });
  std::set<std::string> seen;
  for (const std::string& name : m.list(dir, 400)) {
    EXPECT_TRUE(seen.insert(name).second) << name;
    if (name.starts_with("comes")) seen.erase(name);
  }
  EXPECT_EQ(seen.size(), kEntries + 2u);
}

void check_attributes_in_listing(VfsOptions options) {
  options.listed_attrs_for = std::chrono::hours(1);
  SharedVolume volume;
  Mount m(volume, options);
  const Ino dir = m.mkdir(kRootIno, "d");
  const Ino a = m.make(dir, "a", "12345");
  const Ino b = m.make(dir, "b");
  const Handle hb = m.open(b, O_RDWR).handle;
  ASSERT_TRUE(m.write(b, hb, 0, "pending"));
  const Handle h = m.fs.opendir(m.root, dir, O_RDONLY).value().handle;
  const auto attrs = [&](uint64_t off) {
    std::map<std::string, std::optional<Attr>> out;
    EXPECT_TRUE(m.fs.readdir(m.root, dir, h, off, true, [&](const DirEntry& e) {
      out[std::string(e.name)] = e.plus ? std::optional(e.plus->attr) : std::nullopt;
      return true;
    }));
    return out;
  };
  auto first = attrs(0);
  EXPECT_FALSE(first["."]);
  EXPECT_EQ(first["a"]->length, 5u);
  EXPECT_EQ(first["b"]->length, 7u);
  // From the same page, after a change: what was read before is not given out.
  ASSERT_TRUE(m.fs.setattr(m.root, a, {.size = 0}, {}));
  EXPECT_FALSE(attrs(2)["a"]);
  // A removed name must not come back into the kernel's cache.
  ASSERT_TRUE(m.fs.unlink(m.root, dir, "b"));
  EXPECT_FALSE(attrs(2)["b"]);
  m.fs.releasedir(m.root, dir, h);
  m.close(b, hb);
}

TEST(Directory, AttributesThatWereListedLongAgoAreNotGiven) {
  SharedVolume volume;
  Mount m(volume, {.listed_attrs_for = Duration{0}});
  m.make(kRootIno, "f", "12345");
  const Handle h = m.fs.opendir(m.root, kRootIno, O_RDONLY).value().handle;
  bool listed = false;
  EXPECT_TRUE(m.fs.readdir(m.root, kRootIno, h, 0, true, [&](const DirEntry& entry) {
    if (entry.name == "f") listed = true;
    EXPECT_FALSE(entry.plus) << entry.name;
    return true;
  }));
  EXPECT_TRUE(listed);
  m.fs.releasedir(m.root, kRootIno, h);
}

TEST(Directory, AnOpenFileIsNotTakenBackToWhatWasListedBefore) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume, {.listed_attrs_for = std::chrono::hours(1)});
  const Ino dir = a.mkdir(kRootIno, "d");
  const Ino ino = a.make(dir, "f", "old");
  const Handle listing = b.fs.opendir(b.root, dir, O_RDONLY).value().handle;
  const auto list = [&](const std::function<bool(const DirEntry&)>& sink) {
    EXPECT_TRUE(b.fs.readdir(b.root, dir, listing, 2, true, sink));
  };
  list([](const DirEntry&) { return false; });  // the page is read
  const Handle ha = a.open(ino, O_RDWR).handle;
  ASSERT_TRUE(a.write(ino, ha, 0, "and longer"));
  a.close(ino, ha);
  const Handle hb = b.open(ino, O_RDONLY).handle;
  list([](const DirEntry& entry) {
    EXPECT_FALSE(entry.name == "f" && entry.plus);
    return true;
  });
  EXPECT_EQ(b.read(ino, hb), "and longer");
  b.close(ino, hb);
  b.fs.releasedir(b.root, dir, listing);
}

TEST(Directory, ListingGivesAttributesThatAreStillTrue) {
  check_attributes_in_listing({});
}

TEST(Directory, ListingGivesTrueAttributesWhereTheKernelCachesNone) {
  check_attributes_in_listing({.attr_ttl = Duration{0}});
}

TEST(Directory, ARemovedOpenDirectoryStillAnswers) {
  SharedVolume volume;
  Mount m(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  const Handle h = m.fs.opendir(m.root, dir, O_RDONLY).value().handle;
  ASSERT_TRUE(m.fs.rmdir(m.root, kRootIno, "d"));
  // With a trash the directory lives on there until it is purged.
  ASSERT_TRUE(m.fs.getattr(m.root, dir, {}));
  m.fs.releasedir(m.root, dir, h);

  SharedVolume no_trash({.trash_days = 0});
  Mount n(no_trash);
  const Ino gone = n.mkdir(kRootIno, "d");
  const Handle open = n.fs.opendir(n.root, gone, O_RDONLY).value().handle;
  ASSERT_TRUE(n.fs.rmdir(n.root, kRootIno, "d"));
  EXPECT_EQ(n.fs.getattr(n.root, gone, {}).value().attr.nlink, 0u);
  n.fs.releasedir(n.root, gone, open);
  EXPECT_EQ(code_of(n.fs.getattr(n.root, gone, {})), ESTALE);
}

TEST(Directory, SubdirIsTheRoot) {
  SharedVolume volume;
  Ino sub = 0;
  Ino file = 0;
  {
    Mount m(volume);
    sub = m.mkdir(kRootIno, "sub");
    file = m.make(sub, "f", "inside");
    m.make(kRootIno, "outside");
  }
  Mount m(volume, {.root = sub, .subdir = "/sub"});
  EXPECT_EQ(m.list(kRootIno), (Names{".", "..", ".accesslog", ".stats", ".config", "f"}));
  EXPECT_EQ(m.fs.getattr(m.root, kRootIno, {}).value().ino, kRootIno);
  EXPECT_EQ(m.fs.lookup(m.root, kRootIno, "f").value().ino, file);
  EXPECT_EQ(code_of(m.fs.lookup(m.root, kRootIno, "outside")), ENOENT);
  EXPECT_EQ(code_of(m.fs.lookup(m.root, kRootIno, ".trash")), ENOENT);
  EXPECT_EQ(m.fs.lookup(m.root, kRootIno, "..").value().ino, kRootIno);
  const Ino deep = m.mkdir(kRootIno, "deep");
  EXPECT_EQ(m.fs.lookup(m.root, deep, "..").value().ino, kRootIno);
  EXPECT_EQ(m.fs.rename(m.root, kRootIno, "f", deep, "g", 0).has_value(), true);
  EXPECT_EQ(m.content(file), "inside");
}

TEST(Directory, NegativeEntriesAreToldOnlyWhenAsked) {
  SharedVolume volume;
  Mount m(volume);
  EXPECT_EQ(code_of(m.fs.lookup(m.root, kRootIno, "none")), ENOENT);
  Mount caching(volume, {.negative_ttl = std::chrono::seconds(3)});
  const EntryReply reply = caching.fs.lookup(caching.root, kRootIno, "none").value();
  EXPECT_EQ(reply.ino, 0u);
  EXPECT_EQ(reply.entry_ttl, std::chrono::seconds(3));
}

TEST(Xattrs, OnlyWhatTheMountServes) {
  SharedVolume volume;
  Mount off(volume);
  const Ino ino = off.make(kRootIno, "f");
  EXPECT_EQ(code_of(off.fs.setxattr(off.root, ino, "user.a", "1", {})), ENOTSUP);
  Mount on(volume, {.enable_xattr = true});
  ASSERT_TRUE(on.fs.setxattr(on.root, ino, "user.a", "1", {.create = true}));
  EXPECT_EQ(code_of(on.fs.setxattr(on.root, ino, "user.a", "1", {.create = true})), EEXIST);
  EXPECT_EQ(code_of(on.fs.setxattr(on.root, ino, "user.b", "1", {.replace = true})), ENODATA);
  EXPECT_EQ(on.fs.getxattr(on.root, ino, "user.a").value(), "1");
  EXPECT_EQ(on.fs.listxattr(on.root, ino).value(), Names{"user.a"});
  EXPECT_EQ(code_of(on.fs.setxattr(on.root, ino, "security.capability", "1", {})), ENOTSUP);
  EXPECT_EQ(code_of(on.fs.setxattr(on.root, ino, "system.posix_acl_access", "1", {})), ENOTSUP);
  EXPECT_EQ(code_of(on.fs.getxattr(on.root, ino, std::string(256, 'x'))), ERANGE);
  EXPECT_EQ(code_of(on.fs.setxattr(on.root, ino, "user.big", std::string(65537, 'x'), {})), E2BIG);
  ASSERT_TRUE(on.fs.removexattr(on.root, ino, "user.a"));
  EXPECT_EQ(code_of(on.fs.removexattr(on.root, ino, "user.a")), ENODATA);
}

TEST(Xattrs, AclsAreRulesUnderneath) {
  SharedVolume volume({.enable_acl = true});
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "f");
  meta::AclRule rule{.owner = 6, .group = 4, .mask = 6, .other = 0, .users = {{1000, 6}}};
  const std::string value = meta::acl_to_xattr(rule);
  ASSERT_TRUE(m.fs.setxattr(m.root, ino, "system.posix_acl_access", value, {}));
  EXPECT_EQ(m.stat(ino).mode, 0660);
  EXPECT_EQ(m.fs.getxattr(m.root, ino, "system.posix_acl_access").value(), value);
  EXPECT_EQ(m.fs.listxattr(m.root, ino).value(), Names{"system.posix_acl_access"});
  EXPECT_EQ(code_of(m.fs.setxattr(m.root, ino, "system.posix_acl_access", "junk!", {})), EINVAL);
  ASSERT_TRUE(m.fs.removexattr(m.root, ino, "system.posix_acl_access"));
  EXPECT_EQ(code_of(m.fs.getxattr(m.root, ino, "system.posix_acl_access")), ENODATA);
}

TEST(Ioctl, InodeFlags) {
  SharedVolume volume;
  Mount off(volume);
  const Ino ino = off.make(kRootIno, "f");
  EXPECT_EQ(code_of(off.fs.ioctl(off.root, ino, 0, FS_IOC_GETFLAGS, "", 4)), ENOTTY);
  Mount m(volume, {.enable_ioctl = true});
  const auto bytes = [](uint32_t v) { return std::string(reinterpret_cast<const char*>(&v), 4); };
  EXPECT_EQ(m.fs.ioctl(m.root, ino, 0, FS_IOC_GETFLAGS, "", 4).value(), bytes(0));
  ASSERT_TRUE(m.fs.ioctl(m.root, ino, 0, FS_IOC_SETFLAGS, bytes(FS_IMMUTABLE_FL), 0));
  EXPECT_EQ(m.fs.ioctl(m.root, ino, 0, FS_IOC_GETFLAGS, "", 4).value(), bytes(FS_IMMUTABLE_FL));
  EXPECT_EQ(m.fs.ioctl(m.root, ino, 0, FS_IOC_GETFLAGS, "", 8).value().size(), 8u);
  EXPECT_EQ(m.fs.ioctl(m.root, ino, 0, FS_IOC_FSGETXATTR, "", 28).value().substr(0, 4),
            bytes(FS_XFLAG_IMMUTABLE));
  EXPECT_EQ(code_of(m.fs.open(m.root, ino, O_RDWR, false)), EPERM);
  EXPECT_EQ(code_of(m.fs.ioctl(m.root, ino, 0, FS_IOC_SETFLAGS, bytes(FS_NODUMP_FL), 0)), EOPNOTSUPP);
  EXPECT_EQ(code_of(m.fs.ioctl(m.root, ino, 0, FS_IOC_SETFLAGS, "abc", 0)), EINVAL);
  EXPECT_EQ(code_of(m.fs.ioctl({.uid = 5, .pid = 1}, ino, 0, FS_IOC_SETFLAGS, bytes(0), 0)), EPERM);
  EXPECT_EQ(code_of(m.fs.ioctl(m.root, ino, 0, 0x1234, "", 4)), ENOTTY);
}

}  // namespace
}  // namespace cider::vfs
