// Locks, and what they mean for cached data.
#include <gtest/gtest.h>

#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using testing::Mount;
using testing::SharedVolume;

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
TEST(Locks, AHandleThatLostItsLockAnswersErrors) {
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

}  // namespace
}  // namespace cider::vfs
