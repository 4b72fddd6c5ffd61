// Files as one client and two clients see them.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using testing::Mount;
using testing::SharedVolume;

TEST(File, WhatIsWrittenIsSeenAtOnceAndAfterRemount) {
  SharedVolume volume;
  Ino ino = 0;
  {
    Mount m(volume);
    const auto made = m.fs.create(m.root, kRootIno, "a", 0644, O_RDWR).value();
    ino = made.entry.ino;
    EXPECT_TRUE(S_ISREG(meta::type_bits(made.entry.attr.type)));
    ASSERT_TRUE(m.write(ino, made.open.handle, 5, "hello"));
    EXPECT_EQ(m.stat(ino).length, 10u);  // not committed yet
    EXPECT_EQ(m.fs.lookup(m.root, kRootIno, "a").value().attr.length, 10u);
    EXPECT_GE(m.stat(ino).mtime, made.entry.attr.mtime);
    EXPECT_EQ(m.read(ino, made.open.handle), std::string("\0\0\0\0\0hello", 10));
    m.close(ino, made.open.handle);
    EXPECT_EQ(m.stat(ino).length, 10u);
  }
  Mount again(volume);
  EXPECT_EQ(again.content(ino), std::string("\0\0\0\0\0hello", 10));
}

TEST(File, ManyBlocksAcrossChunks) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "big");
  const Handle h = m.open(ino, O_RDWR).handle;
  std::string piece(1 << 20, 'x');
  const uint64_t base = kChunkSize - (piece.size() / 2);
  for (size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<char>(i * 31 + i / 7);
  ASSERT_TRUE(m.write(ino, h, base, piece));
  ASSERT_TRUE(m.fs.fsync(m.root, ino, h, false));
  EXPECT_EQ(m.stat(ino).length, base + piece.size());
  EXPECT_EQ(m.read(ino, h, base, 1 << 20), piece);
  EXPECT_EQ(m.read(ino, h, base + piece.size(), 10), "");
  m.close(ino, h);
}

TEST(File, TruncateStandsInOrderWithWrites) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a");
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, h, 0, std::string(100'000, 'a')));
  EXPECT_EQ(m.fs.setattr(m.root, ino, {.size = 10}, h).value().attr.length, 10u);
  EXPECT_EQ(m.stat(ino).length, 10u);
  ASSERT_TRUE(m.write(ino, h, 20, "b"));
  EXPECT_EQ(m.read(ino, h), std::string(10, 'a') + std::string(10, '\0') + "b");
  EXPECT_EQ(m.fs.setattr(m.root, ino, {.size = 30}, {}).value().attr.length, 30u);
  m.close(ino, h);
  EXPECT_EQ(m.content(ino), std::string(10, 'a') + std::string(10, '\0') + "b" + std::string(9, '\0'));
}

TEST(File, OpenWithTruncDropsWhatWasBuffered) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "old content");
  const Handle first = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, first, 0, "buffered"));
  const Handle second = m.open(ino, O_WRONLY | O_TRUNC).handle;
  EXPECT_EQ(m.stat(ino).length, 0u);
  ASSERT_TRUE(m.write(ino, second, 0, "new"));
  EXPECT_EQ(m.read(ino, first), "new");
  m.close(ino, first);
  m.close(ino, second);
}

TEST(File, CreateOfAnExistingNameOpensAndTruncates) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "content");
  const auto again = m.fs.create(m.root, kRootIno, "a", 0600, O_RDWR | O_TRUNC).value();
  EXPECT_EQ(again.entry.ino, ino);
  EXPECT_EQ(again.entry.attr.length, 0u);
  EXPECT_EQ(again.entry.attr.mode, 0644);
  m.close(ino, again.open.handle);
  EXPECT_EQ(code_of(m.fs.create(m.root, kRootIno, "a", 0600, O_RDWR | O_EXCL)), EEXIST);
}

// Another client made the name since the kernel looked it up: the kernel asks nothing of what CREATE answers.
TEST(File, CreateOfWhatAnotherMadeAsksAsOpenDoes) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "content");
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.mode = 04600, .uid = 7, .gid = 7}, {}));
  const Caller owner{.uid = 7, .gid = 7, .pid = 1}, other{.uid = 8, .gid = 7, .pid = 1};
  const auto create = [&](const Caller& who, const char* name, int flags) {
    auto made = m.fs.create(who, kRootIno, name, 0666, flags);
    if (made) m.close(made->entry.ino, made->open.handle);
    return code_of(made);
  };
  EXPECT_EQ(create(other, "a", O_RDONLY), ESTALE) << "its groups are not known: the kernel shall look again";
  EXPECT_EQ(m.stat(ino).length, 7u);
  EXPECT_EQ(create(owner, "a", O_RDWR), 0);
  EXPECT_EQ(create(owner, "a", O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(m.stat(ino).length, 0u);
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.mode = 0400}, {}));
  EXPECT_EQ(create(owner, "a", O_RDWR), EACCES);
  EXPECT_EQ(create(owner, "a", O_RDONLY), 0);
  EXPECT_EQ(create(m.root, "a", O_RDWR), 0);
  m.mkdir(kRootIno, "dir");
  ASSERT_TRUE(m.fs.symlink(m.root, kRootIno, "link", "a"));
  ASSERT_TRUE(m.fs.mknod(m.root, kRootIno, "fifo", S_IFIFO | 0666, 0));
  for (const char* name : {"dir", "link", "fifo"}) {
    EXPECT_EQ(create(m.root, name, O_RDWR), ESTALE) << name;
    EXPECT_EQ(create(m.root, name, O_RDWR | O_EXCL), EEXIST) << name;
  }
}

TEST(File, TimesThatAreSetStayAfterBufferedWritesAreCommitted) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a");
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, h, 0, "data"));
  const Time then{.sec = 1000, .nsec = 5};
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.mtime = then}, {}));
  m.close(ino, h);
  EXPECT_EQ(m.stat(ino).mtime, then);
  EXPECT_EQ(m.stat(ino).length, 4u);
}

TEST(File, HandlesKeepTheirMode) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "abc");
  const Handle reader = m.open(ino, O_RDONLY).handle;
  const Handle writer = m.open(ino, O_WRONLY).handle;
  EXPECT_EQ(code_of(m.write(ino, reader, 0, "x")), EBADF);
  EXPECT_EQ(code_of(m.fs.read(m.root, ino, writer, 0, 10)), EBADF);
  EXPECT_EQ(code_of(m.fs.setattr(m.root, ino, {.size = 0}, reader)), EINVAL);
  EXPECT_EQ(code_of(m.fs.fallocate(m.root, ino, reader, 0, 0, 10)), EBADF);
  EXPECT_EQ(code_of(m.fs.read(m.root, ino + 1, reader, 0, 10)), EBADF);
  EXPECT_EQ(code_of(m.write(ino, writer, UINT64_MAX - 1, "x")), EFBIG);
  EXPECT_EQ(code_of(m.write(ino, writer, kChunkSize << 31, "x")), EFBIG);
  m.close(ino, reader);
  m.close(ino, writer);
  EXPECT_EQ(code_of(m.fs.read(m.root, ino, reader, 0, 10)), EBADF);
}

TEST(File, AnUnlinkedOpenFileLives) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "abc");
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.fs.unlink(m.root, kRootIno, "a"));
  ASSERT_TRUE(m.write(ino, h, 3, "def"));
  EXPECT_EQ(m.read(ino, h), "abcdef");
  EXPECT_EQ(m.fs.getattr(m.root, ino, h).value().attr.length, 6u);
  m.close(ino, h);
}

TEST(File, AnUnlinkedOpenFileHasNoLinksThoughItIsInTheTrash) {
  meta::Volume setting;
  setting.trash_days = 1;
  SharedVolume volume(setting);
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "abc");
  const Handle h = m.open(ino, O_RDWR).handle;
  EXPECT_EQ(m.stat(ino).nlink, 1u);
  ASSERT_TRUE(m.fs.unlink(m.root, kRootIno, "a"));
  EXPECT_EQ(m.stat(ino).nlink, 0u);
  EXPECT_EQ(m.fs.setattr(m.root, ino, {.mode = 0600}, h).value().attr.nlink, 0u);
  m.close(ino, h);
  EXPECT_EQ(m.stat(ino).nlink, 1u);  // as one finds it in the trash
}

TEST(File, CopyTakesUncommittedDataOfTheSource) {
  SharedVolume volume;
  Mount m(volume);
  const Ino a = m.make(kRootIno, "a");
  const Ino b = m.make(kRootIno, "b", "0123456789");
  const Handle ha = m.open(a, O_RDWR).handle;
  const Handle hb = m.open(b, O_RDWR).handle;
  ASSERT_TRUE(m.write(a, ha, 0, "abcdef"));
  ASSERT_TRUE(m.write(b, hb, 0, "XY"));
  EXPECT_EQ(m.fs.copy_file_range(m.root, a, ha, 0, b, hb, 4, 6).value(), 6u);
  EXPECT_EQ(m.read(b, hb), "XY23abcdef");
  // Opposite copies at once must not block each other.
  std::jthread there([&] {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(m.fs.copy_file_range(m.root, a, ha, 0, b, hb, 0, 4));
  });
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(m.fs.copy_file_range(m.root, b, hb, 4, a, ha, 0, 4));
  there.join();
  m.close(a, ha);
  m.close(b, hb);
}

TEST(File, FallocateAndHoles) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", std::string(200'000, 'x'));
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.fs.fallocate(m.root, ino, h, 0, 0, 300'000));
  EXPECT_EQ(m.stat(ino).length, 300'000u);
  EXPECT_EQ(m.read(ino, h, 199'999, 3), std::string("x\0\0", 3));
  EXPECT_EQ(m.fs.lseek(m.root, ino, h, 0, SEEK_HOLE).value(), 200'000u);
  EXPECT_EQ(m.fs.lseek(m.root, ino, h, 10, SEEK_DATA).value(), 10u);
  EXPECT_EQ(code_of(m.fs.lseek(m.root, ino, h, 250'000, SEEK_DATA)), ENXIO);
  m.close(ino, h);
}

TEST(File, WritingTakesSuidWhenAsked) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a", "x");
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.mode = 06755}, {}));
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, h, 0, "y"));
  EXPECT_EQ(m.stat(ino).mode, 06755);
  ASSERT_TRUE(m.write(ino, h, 0, "y", {.uid = 7, .gid = 7, .pid = 9}, true));
  EXPECT_EQ(m.stat(ino).mode, 0755);
  m.close(ino, h);
}

TEST(File, ChangesTakeCapabilities) {
  SharedVolume volume;
  Mount m(volume, {.enable_cap = true}), b(volume, {.enable_cap = true});
  const Ino ino = m.make(kRootIno, "a", "0123456789");
  const auto set = [&](Mount& mount) {
    ASSERT_TRUE(mount.fs.setxattr(mount.root, ino, "security.capability", "cap", {}));
  };
  const auto is_gone = [&] { return code_of(m.fs.getxattr(m.root, ino, "security.capability")) == ENODATA; };
  const Handle handle = m.open(ino, O_RDWR).handle;
  set(m);
  ASSERT_TRUE(m.write(ino, handle, 0, "x"));
  EXPECT_TRUE(is_gone());
  set(m);
  ASSERT_TRUE(m.write(ino, handle, 0, "x"));
  EXPECT_TRUE(is_gone()) << "set again after a write";
  set(b);
  m.stat(ino);
  ASSERT_TRUE(m.write(ino, handle, 0, "x"));
  EXPECT_TRUE(is_gone()) << "set by another client";
  set(m);
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.mode = 0711}, {}));
  m.content(ino);
  EXPECT_FALSE(is_gone()) << "neither chmod nor reading is a reason";
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.uid = 5}, {}));
  EXPECT_TRUE(is_gone());
  set(m);
  ASSERT_TRUE(m.fs.setattr(m.root, ino, {.size = 5}, {}));
  EXPECT_TRUE(is_gone());
  set(m);
  m.close(ino, m.open(ino, O_RDWR | O_TRUNC).handle);
  EXPECT_TRUE(is_gone());
  set(m);
  ASSERT_TRUE(m.fs.fallocate(m.root, ino, handle, 0, 0, 10));
  EXPECT_TRUE(is_gone());
  set(m);
  const Ino from = m.make(kRootIno, "from", "data");
  const Handle source = m.open(from, O_RDONLY).handle;
  ASSERT_TRUE(m.fs.copy_file_range(m.root, from, source, 0, ino, handle, 0, 4));
  EXPECT_TRUE(is_gone());
  m.close(from, source);
  m.close(ino, handle);
}

TEST(File, AFullVolumeIsToldAtCloseAndThenAtWrite) {
  SharedVolume volume({.capacity = 1 << 20});
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "a");
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, h, 0, std::string(2 << 20, 'x')));
  EXPECT_EQ(code_of(m.fs.flush(m.root, ino, h, 0)), ENOSPC);
  EXPECT_EQ(code_of(m.write(ino, h, 4 << 20, "more")), ENOSPC);
  m.fs.release(m.root, ino, h, {});
  ASSERT_TRUE(m.fs.unlink(m.root, kRootIno, "a"));
}

TEST(TwoClients, CloseToOpen) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  EXPECT_EQ(b.content(ino), "first");
  const Handle h = a.open(ino, O_RDWR).handle;
  ASSERT_TRUE(a.write(ino, h, 0, "second version"));
  a.close(ino, h);
  EXPECT_EQ(b.content(ino), "second version");
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

  const Handle h = a.open(ino, O_RDWR).handle;
  ASSERT_TRUE(a.write(ino, h, 0, "FIRST"));
  a.close(ino, h);
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

TEST(Locks, UnlockCommitsWhatWasWritten) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f");
  const Handle ha = a.open(ino, O_RDWR).handle;
  const Handle hb = b.open(ino, O_RDWR).handle;
  const auto flock = [&](Mount& m, Handle h, LockType type) {
    std::promise<Status> answer;
    m.fs.flock(m.root, ino, h, 5, type, true, [&](Status s) { answer.set_value(std::move(s)); });
    return answer.get_future().get();
  };
  ASSERT_TRUE(flock(a, ha, LockType::write));
  ASSERT_TRUE(a.write(ino, ha, 0, "under lock"));
  ASSERT_TRUE(flock(a, ha, LockType::unlock));
  ASSERT_TRUE(flock(b, hb, LockType::write));
  EXPECT_EQ(b.stat(ino).length, 10u);
  EXPECT_EQ(b.read(ino, hb), "under lock");
  ASSERT_TRUE(flock(b, hb, LockType::unlock));
  a.close(ino, ha);
  b.close(ino, hb);
}

// Of the same length, so that no read has a reason to ask for attributes.
TEST(Locks, WhoGetsOneIsToldWhenTheKernelHasDroppedOldPages) {
  SharedVolume volume;
  Mount a(volume);
  Mount b(volume);
  const Ino ino = a.make(kRootIno, "f", "first");
  const Handle ha = a.open(ino, O_RDWR).handle;
  const Handle hb = b.open(ino, O_RDWR).handle;
  ASSERT_TRUE(b.fs.lookup(b.root, kRootIno, "f"));
  EXPECT_EQ(b.read(ino, hb), "first");
  std::vector<FileSystem::Invalidation> told;
  b.fs.set_notifier([&](FileSystem::Invalidation change) { told.push_back(std::move(change)); });
  const auto lock = [&](bool whole, LockType type) {
    auto answer = std::make_shared<int>(-1);
    const auto done = [answer](const Status& status) { *answer = code_of(status); };
    const FileLock all{.type = type, .start = 0, .end = INT64_MAX, .pid = 10};
    if (whole) {
      b.fs.flock(b.root, ino, hb, 5, type, true, done);
    } else {
      b.fs.setlk(b.root, ino, hb, 5, all, true, done);
    }
    return answer;
  };
  for (const bool whole : {true, false}) {
    ASSERT_TRUE(a.write(ino, ha, 0, whole ? "FIRST" : "Other"));
    ASSERT_TRUE(a.fs.flush(a.root, ino, ha, 0));
    told.clear();
    const auto changed = lock(whole, LockType::write);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_TRUE(told[0].ino == ino && told[0].data);
    EXPECT_EQ(*changed, -1) << "the kernel still has old pages";
    told[0].then();
    EXPECT_EQ(*changed, 0);
    EXPECT_EQ(b.read(ino, hb), whole ? "FIRST" : "Other");
    ASSERT_EQ(*lock(whole, LockType::unlock), 0);
    b.stat(ino);

    ASSERT_EQ(*lock(whole, LockType::write), 0) << "nobody changed the file";
    EXPECT_EQ(told.size(), 1u);
    ASSERT_EQ(*lock(whole, LockType::unlock), 0);
  }
  a.close(ino, ha);
  b.close(ino, hb);
}

TEST(Locks, CloseReleasesTheOwnersRecordLocksByWhateverHandle) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "f", "x");
  const Handle h1 = m.open(ino, O_RDWR).handle;
  const Handle h2 = m.open(ino, O_RDWR).handle;
  const FileLock all{.type = LockType::write, .start = 0, .end = INT64_MAX, .pid = 10};
  const auto lock = [&](Handle h, uint64_t owner) {
    std::promise<Status> answer;
    m.fs.setlk(m.root, ino, h, owner, all, false, [&](Status s) { answer.set_value(std::move(s)); });
    return answer.get_future().get();
  };
  const auto holder = [&](uint64_t asking) { return m.fs.getlk(m.root, ino, h2, asking, all).value().type; };
  ASSERT_TRUE(lock(h1, 100));
  EXPECT_EQ(code_of(lock(h2, 200)), EAGAIN);
  EXPECT_EQ(holder(200), LockType::write);
  ASSERT_TRUE(m.fs.flush(m.root, ino, h2, 200));  // another owner's close
  EXPECT_EQ(holder(200), LockType::write);
  ASSERT_TRUE(m.fs.flush(m.root, ino, h2, 100));  // the owner closes another handle of the file
  EXPECT_EQ(holder(200), LockType::unlock);
  // What no FLUSH names (open file description locks) goes with the handle.
  ASSERT_TRUE(lock(h1, 300));
  m.fs.release(m.root, ino, h1, {});
  EXPECT_EQ(holder(200), LockType::unlock);
  m.close(ino, h2);
}

// Somebody else cleans up the session of a mount that was paused for too long.
TEST(File, AHandleThatLostItsLockAnswersErrors) {
  SharedVolume shared;
  Mount a(shared), b(shared);
  const Ino ino = a.make(kRootIno, "f", "before");
  const Handle locked = a.open(ino, O_RDWR).handle, other = a.open(ino, O_RDWR).handle;
  const auto flock = [](Mount& mount, Ino file, Handle handle, LockType type) {
    int answer = -1;
    mount.fs.flock(mount.root, file, handle, handle, type, false,
                   [&](Status status) { answer = code_of(status); });
    return answer;
  };
  ASSERT_EQ(flock(a, ino, locked, LockType::write), 0);
  ASSERT_TRUE(a.write(ino, locked, 0, "under the lock"));
  const uint64_t session = a.meta.session_id();
  ASSERT_TRUE(shared.engine.run(
      [&](meta::Transaction& tx) -> Status {
        tx.write(meta::DeleteSession{session});
        return {};
      },
      {}));
  const Handle theirs = b.open(ino, O_RDWR).handle;
  ASSERT_EQ(flock(b, ino, theirs, LockType::write), 0) << "free";

  EXPECT_EQ(code_of(a.fs.fsync(a.root, ino, locked, false)), ESTALE) << "what is pending must not land";
  EXPECT_NE(a.meta.session_id(), session);
  EXPECT_EQ(code_of(a.fs.read(a.root, ino, locked, 0, 10)), EIO);
  EXPECT_EQ(code_of(a.write(ino, locked, 0, "x")), EIO);
  EXPECT_EQ(code_of(a.fs.fallocate(a.root, ino, locked, 0, 0, 10)), EIO);
  EXPECT_EQ(code_of(a.fs.setattr(a.root, ino, {.size = 0}, locked)), EIO);
  EXPECT_EQ(flock(a, ino, locked, LockType::write), EIO);
  EXPECT_EQ(flock(a, ino, locked, LockType::unlock), 0);
  EXPECT_EQ(a.read(ino, other), "before") << "who held no lock relies on none";
  EXPECT_EQ(b.read(ino, theirs), "before");
  EXPECT_EQ(code_of(a.fs.flush(a.root, ino, locked, 0)), EIO);
  a.fs.release(a.root, ino, locked, {});
  a.close(ino, other);
  b.close(ino, theirs);
  EXPECT_EQ(a.content(ino), "before");
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
TEST(File, OpeningWhatAnotherClientReplacedIsStale) {
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

// A commit that answers while another change of the inode is under way: neither answer takes back the other.
TEST(File, ChangesOfAttributesDontTakeBackTheLengthOfCommits) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "log");
  const Handle h = m.open(ino, O_RDWR).handle;
  std::string name = "log";
  std::atomic<bool> stop = false;
  std::thread flusher([&] {
    while (!stop) EXPECT_TRUE(m.fs.flush(m.root, ino, h, 0));
  });
  for (uint64_t i = 1; i <= 2000 && !HasFailure(); ++i) {
    EXPECT_TRUE(m.write(ino, h, 100 * (i - 1), std::string(100, 'x')));
    const std::string next = name == "log" ? "log.1" : "log";
    EXPECT_TRUE(m.fs.rename(m.root, kRootIno, name, kRootIno, next, 0));
    name = next;
    const uint16_t mode = i % 2 == 0 ? 0640 : 0600;
    EXPECT_EQ(m.fs.setattr(m.root, ino, {.mode = mode}, {}).value().attr.length, 100 * i);
    EXPECT_EQ(m.read(ino, h, 100 * (i - 1), 200).size(), 100u);
    EXPECT_EQ(m.fs.lookup(m.root, kRootIno, name).value().attr.length, 100 * i);
    EXPECT_EQ(m.stat(ino).mode, mode);
  }
  stop = true;
  flusher.join();
  m.close(ino, h);
}

}  // namespace
}  // namespace cider::vfs
