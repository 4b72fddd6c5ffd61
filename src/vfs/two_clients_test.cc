// What a client sees of another's changes.
#include <gtest/gtest.h>

#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using testing::Mount;
using testing::SharedVolume;

void rewrite(Mount& mount, Ino ino, std::string_view content) {
  const Handle handle = mount.open(ino, O_RDWR).handle;
  ASSERT_TRUE(mount.write(ino, handle, 0, content));
  mount.close(ino, handle);
}

TEST(TwoClients, CloseToOpen) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  EXPECT_EQ(b.content(ino), "first");
  rewrite(a, ino, "second version");
  EXPECT_EQ(b.content(ino), "second version");
}

TEST(TwoClients, PagesAreKeptOnlyOnceTheyAreDropped) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  EXPECT_EQ(b.content(ino), "first");
  rewrite(a, ino, "FIRST");
  // The first caller's answer, on which the kernel drops its pages, may still be on its way.
  const OpenReply one = b.open(ino, O_RDONLY);
  const OpenReply two = b.open(ino, O_RDONLY);
  EXPECT_FALSE(one.keep_cache);
  EXPECT_FALSE(two.keep_cache);
  b.close(ino, one.handle);
  b.close(ino, two.handle);
  const OpenReply three = b.open(ino, O_RDONLY);
  EXPECT_TRUE(three.keep_cache);
  b.close(ino, three.handle);
}

TEST(TwoClients, AnOpenThatWasInterruptedDropsNoPages) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  const OpenReply interrupted = b.open(ino, O_RDONLY);
  EXPECT_FALSE(interrupted.keep_cache);
  b.fs.release(b.root, ino, interrupted.handle, {});
  const OpenReply again = b.open(ino, O_RDONLY);
  EXPECT_FALSE(again.keep_cache);
  b.close(ino, again.handle);
}

TEST(TwoClients, PagesAreKeptOnlyWhileNobodyElseWrites) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  const auto opened = [&](Mount& m) {
    const OpenReply reply = m.open(ino, O_RDONLY);
    m.close(ino, reply.handle);
    return reply;
  };
  EXPECT_FALSE(opened(b).keep_cache);  // never read here
  EXPECT_TRUE(opened(b).keep_cache);
  EXPECT_TRUE(opened(a).keep_cache);  // a's own writes went through its pages

  rewrite(a, ino, "FIRST");
  ASSERT_TRUE(a.fs.setattr(a.root, ino, {.mode = 0600}, {}));
  EXPECT_TRUE(opened(a).keep_cache);
  const OpenReply changed = opened(b);
  EXPECT_FALSE(changed.keep_cache);
  EXPECT_TRUE(changed.stale_attr);

  // A rewrite whose author sets the time back is noticed by ctime.
  const Attr before = b.stat(ino);
  EXPECT_TRUE(opened(b).keep_cache);
  const Handle again = a.open(ino, O_RDWR).handle;
  ASSERT_TRUE(a.write(ino, again, 0, "other"));
  a.close(ino, again);
  ASSERT_TRUE(a.fs.setattr(a.root, ino, {.mtime = before.mtime}, {}));
  EXPECT_EQ(a.stat(ino).mtime, before.mtime);
  EXPECT_FALSE(opened(b).keep_cache);
  EXPECT_EQ(b.content(ino), "other");
}

// Another client's write of the same length, between an open here and a commit from here.
TEST(TwoClients, ACommitThatFindsForeignChangesDropsPages) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  EXPECT_EQ(a.content(ino), "first");
  const Handle ha = a.open(ino, O_RDWR).handle;
  const auto write = [&](Mount& m, Handle h, uint64_t off, std::string_view text) {
    ASSERT_TRUE(m.write(ino, h, off, text));
    ASSERT_TRUE(m.fs.fsync(m.root, ino, h, false));
  };
  write(a, ha, 0, "A");
  write(a, ha, 1, "A");
  EXPECT_EQ(a.told_of(ino, true), 0u);
  const Handle probe = a.open(ino, O_RDONLY).handle;
  a.close(ino, probe);

  const Handle hb = b.open(ino, O_RDWR).handle;
  write(b, hb, 4, "B");
  b.close(ino, hb);
  write(a, ha, 0, "a");
  EXPECT_EQ(a.told_of(ino, true), 1u);
  const OpenReply after = a.open(ino, O_RDONLY);
  EXPECT_FALSE(after.keep_cache);
  EXPECT_EQ(a.read(ino, after.handle), "aArsB");
  a.close(ino, after.handle);
  write(a, ha, 1, "a");
  EXPECT_EQ(a.told_of(ino, true), 1u);
  const OpenReply own = a.open(ino, O_RDONLY);
  EXPECT_TRUE(own.keep_cache);
  a.close(ino, own.handle);
  a.close(ino, ha);
}

TEST(TwoClients, AttributesThatTheKernelWasJustToldAreNotStale) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "f", "x");
  ASSERT_TRUE(m.fs.lookup(m.root, kRootIno, "f"));
  const OpenReply reply = m.open(ino, O_RDONLY);
  EXPECT_FALSE(reply.stale_attr);
  m.close(ino, reply.handle);
}

TEST(TwoClients, AnOpenFileLearnsOfForeignChanges) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  const Handle hb = b.open(ino, O_RDONLY).handle;
  EXPECT_EQ(b.read(ino, hb), "first");
  const Handle ha = a.open(ino, O_RDWR).handle;
  ASSERT_TRUE(a.write(ino, ha, 0, "longer than before"));
  a.close(ino, ha);
  EXPECT_EQ(b.stat(ino).length, 18u);
  EXPECT_EQ(b.told_of(ino, true), 1u);
  EXPECT_EQ(b.read(ino, hb), "longer than before");
  EXPECT_EQ(a.told_of(ino, true), 0u);
  b.close(ino, hb);
}

// The kernel appends where it last knew the end, so it must look the name up again; but only once.
TEST(TwoClients, AnOpenForAppendingBringsTheKernelTheEnd) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  const auto grow = [&] {
    const Handle handle = a.open(ino, O_WRONLY).handle;
    ASSERT_TRUE(a.write(ino, handle, a.stat(ino).length, "more"));
    a.close(ino, handle);
  };
  const auto open = [&](const Caller& who, int flags) {
    const auto reply = b.fs.open(who, ino, flags, false);
    if (reply) b.close(ino, reply->handle);
    return code_of(reply);
  };
  const Caller first{.pid = 7}, second{.pid = 8}, foreign{.pid = 0};
  constexpr int kAppend = O_WRONLY | O_APPEND;
  ASSERT_TRUE(b.fs.lookup(b.root, kRootIno, "f"));
  EXPECT_EQ(open(first, kAppend), 0);
  grow();
  EXPECT_EQ(open(first, O_WRONLY), 0);
  EXPECT_EQ(open(foreign, kAppend), 0) << "can't be told from others of its kind";
  EXPECT_EQ(open(first, kAppend), ESTALE);
  EXPECT_EQ(open(second, kAppend), ESTALE);
  ASSERT_TRUE(b.fs.lookup(b.root, kRootIno, "f"));
  EXPECT_EQ(open(first, kAppend), 0);
  EXPECT_EQ(open(first, kAppend), 0);
  for (int i = 0; i < 2; ++i) {
    grow();
    EXPECT_EQ(open(first, kAppend), ESTALE);
    const OpenReply next = b.open(ino, O_RDONLY);
    EXPECT_FALSE(next.keep_cache) << "the open that failed did not make the kernel drop its pages";
    b.close(ino, next.handle);
    grow();
    EXPECT_EQ(open(first, kAppend), 0) << "the kernel asks twice only";
    ASSERT_TRUE(b.fs.lookup(b.root, kRootIno, "f"));
  }
}

// By its name the kernel then finds what is there now.
TEST(TwoClients, WhatAnotherClientRemovedIsStale) {
  SharedVolume volume({.trash_days = 0});
  Mount a(volume);
  Mount b(volume);
  const Ino file = a.make(kRootIno, "file", "x"), kept = a.make(kRootIno, "kept", "x"),
            dir = a.mkdir(kRootIno, "dir");
  const Handle handle = b.open(kept, O_RDONLY).handle;
  for (const char* name : {"file", "kept"}) ASSERT_TRUE(a.fs.unlink(a.root, kRootIno, name));
  ASSERT_TRUE(a.fs.rmdir(a.root, kRootIno, "dir"));
  EXPECT_EQ(code_of(b.fs.getattr(b.root, file, {})), ESTALE);
  EXPECT_EQ(code_of(b.fs.setattr(b.root, file, {.mode = 0600}, {})), ESTALE);
  EXPECT_EQ(code_of(b.fs.setattr(b.root, file, {.size = 0}, {})), ESTALE);
  EXPECT_EQ(code_of(b.fs.opendir(b.root, dir, O_RDONLY)), ESTALE);
  EXPECT_EQ(code_of(b.fs.mkdir(b.root, dir, "d", 0755)), ESTALE);
  EXPECT_EQ(code_of(b.fs.create(b.root, dir, "f", 0644, O_RDWR)), ESTALE);
  EXPECT_EQ(code_of(b.fs.lookup(b.root, kRootIno, "file")), ENOENT);
  EXPECT_EQ(code_of(b.fs.getattr(b.root, kept, handle)), ENOENT) << "found by its handle, not by a name";
  b.fs.release(b.root, kept, handle, {});

  SharedVolume with_trash;
  Mount c(with_trash), d(with_trash);
  const Ino removed = c.make(kRootIno, "file", "x");
  ASSERT_TRUE(d.fs.lookup(d.root, kRootIno, "file"));
  ASSERT_TRUE(c.fs.unlink(c.root, kRootIno, "file"));
  EXPECT_EQ(code_of(d.fs.setattr(d.root, removed, {.size = 0}, {})), ESTALE);
}

// The kernel then looks the name up again.
TEST(TwoClients, OpeningWhatAnotherReplacedIsStale) {
  for (int trash_days : {0, 1}) {
    SharedVolume volume({.trash_days = trash_days});
    Mount a(volume);
    Mount b(volume);
    const Ino old = a.make(kRootIno, "x", "old");
    EXPECT_EQ(b.fs.lookup(b.root, kRootIno, "x").value().ino, old);
    a.make(kRootIno, "y", "new");
    ASSERT_TRUE(a.fs.rename(a.root, kRootIno, "y", kRootIno, "x", 0));
    EXPECT_EQ(code_of(b.fs.open(b.root, old, O_RDONLY, false)), ESTALE);
    EXPECT_EQ(code_of(b.fs.open(b.root, old, O_RDWR, false)), ESTALE);
    EXPECT_NE(b.fs.lookup(b.root, kRootIno, "x").value().ino, old);
    if (trash_days == 0) continue;
    // Who looks into the trash may read there.
    const Ino trash = b.fs.lookup(b.root, kRootIno, ".trash").value().ino;
    const Handle listing = b.fs.opendir(b.root, trash, O_RDONLY).value().handle;
    b.fs.releasedir(b.root, trash, listing);
    const std::string hour = b.list(trash).at(2);
    const Ino folder = b.fs.lookup(b.root, trash, hour).value().ino;
    EXPECT_EQ(b.fs.lookup(b.root, folder, b.list(folder).at(2)).value().ino, old);
    EXPECT_EQ(b.content(old), "old");
    EXPECT_EQ(code_of(b.fs.open(b.root, old, O_RDWR, false)), EPERM);
  }
}

}  // namespace
}  // namespace cider::vfs
