// Files as one client sees them.
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
