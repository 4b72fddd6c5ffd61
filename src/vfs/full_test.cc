// A full volume: the error is told, what was acknowledged stays, and all goes on when there is room again.
#include <gtest/gtest.h>

#include <thread>

#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using testing::Mount;
using testing::SharedVolume;

meta::Volume with_capacity(uint64_t bytes) {
  meta::Volume volume;
  volume.capacity = bytes;
  volume.trash_days = 0;
  return volume;
}

TEST(FullVolume, TellsWhoWritesKeepsWhatWasAcknowledgedAndRecovers) {
  SharedVolume volume(with_capacity(1 << 20));
  Mount m(volume);
  const std::string kept(600 << 10, 'k');
  const Ino old = m.make(kRootIno, "old", kept);
  const Ino ino = m.make(kRootIno, "new", "acknowledged");
  const Handle h = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, h, 12, std::string(600 << 10, 'x')));  // accepted, not acknowledged
  EXPECT_EQ(code_of(m.fs.fsync(m.root, ino, h, false)), ENOSPC);
  EXPECT_TRUE(m.fs.fsync(m.root, ino, h, false)) << "told once";
  EXPECT_EQ(m.stat(ino).length, 12u);
  EXPECT_EQ(m.read(ino, h), "acknowledged");
  EXPECT_EQ(m.content(old), kept);
  EXPECT_FALSE(m.open(ino, O_RDONLY).keep_cache) << "the kernel's pages show what was given up";

  // A writer is told at once while that is fresh; overwriting needs no room.
  EXPECT_EQ(code_of(m.write(ino, h, 12, std::string(600 << 10, 'x'))), ENOSPC);
  ASSERT_TRUE(m.write(ino, h, 0, "A"));
  ASSERT_TRUE(m.fs.fsync(m.root, ino, h, false));
  EXPECT_EQ(m.read(ino, h), "Acknowledged");

  ASSERT_TRUE(m.fs.unlink(m.root, kRootIno, "old"));
  Status done = fail(ENOSPC);
  for (int i = 0; i < 100 && !done; i++) {
    done = m.write(ino, h, 12, std::string(600 << 10, 'y'));
    if (done) done = m.fs.fsync(m.root, ino, h, false);
    if (!done) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(done);
  EXPECT_EQ(m.stat(ino).length, 12u + (600 << 10));
  m.close(ino, h);
}

}  // namespace
}  // namespace cider::vfs
