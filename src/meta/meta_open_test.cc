// Files that are unlinked while open, O_TMPFILE, the trash, sessions.
#include <fcntl.h>

#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::kUnit;

CIDER_META_TEST(OpenTest);

TEST_P(OpenTest, AnOpenFileOutlivesItsName) {
  make();
  Ino file = mkfile("f");
  write(file, 0, kUnit, 1);
  ASSERT_TRUE(a().open(Caller{}, file, O_RDWR));
  ASSERT_TRUE(a().open(Caller{}, file, O_RDONLY));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
  EXPECT_EQ(attr(file).nlink, 0u);
  write(file, kUnit, kUnit, 2);
  EXPECT_TRUE(a().truncate(Caller{}, file, 4 * kUnit, true, false));
  EXPECT_EQ(read(file).size(), 2u);
  a().close(file);
  EXPECT_EQ(read(file).size(), 2u);
  a().close(file);
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
  volume_->stop();
  EXPECT_EQ(volume_->data().alive(), 0u);
}

TEST_P(OpenTest, SoDoesOneThatIsRenamedOver) {
  make();
  Ino file = mkfile("f");
  mkfile("g");
  ASSERT_TRUE(a().open(Caller{}, file, O_RDWR));
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "f"), 0);
  EXPECT_EQ(attr(file).nlink, 0u);
  a().close(file);
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
}

TEST_P(OpenTest, ATmpfileMayGetANameAndStays) {
  make();
  Ino linked = made(a().tmpfile(Caller{}, kRootIno, 0600));
  Ino never = made(a().tmpfile(Caller{}, kRootIno, 0600));
  EXPECT_EQ(attr(linked).nlink, 0u);
  EXPECT_EQ(code_of(b().link(Caller{}, linked, kRootIno, "f")), ENOENT) << "only whose it is may name it";
  ASSERT_TRUE(a().link(Caller{}, linked, kRootIno, "f"));
  EXPECT_FALSE(volume_->dump().sustained.contains({linked, a().session_id()}))
      << "JuiceFS's clean-up of the session would delete it, name or not";
  EXPECT_EQ(attr(linked).nlink, 1u);
  EXPECT_EQ(attr(linked).parent, kRootIno);
  a().close(linked);
  a().close(never);
  EXPECT_EQ(attr(linked).nlink, 1u);
  EXPECT_EQ(code_of(a().getattr(never)), ENOENT);
}

TEST_P(OpenTest, ATmpfileThatIsLinkedAndUnlinkedGoesAtItsLastClose) {
  make();
  Ino file = made(a().tmpfile(Caller{}, kRootIno, 0600));
  ASSERT_TRUE(a().link(Caller{}, file, kRootIno, "f"));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
  EXPECT_EQ(attr(file).nlink, 0u);
  a().close(file);
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
}

TEST_P(OpenTest, WhatOpenAnsweredReads) {
  make();
  for (int round = 0; round < 40; ++round) {
    Ino file = mkfile("f");
    write(file, 0, kUnit, 1);
    int opened = -1;
    std::thread one([&] { opened = code_of(a().open(Caller{}, file, O_RDONLY)); });
    std::thread two([&] { EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "f")); });
    one.join();
    two.join();
    ASSERT_TRUE(opened == 0 || opened == ENOENT);
    EXPECT_EQ(code_of(a().getattr(file)), opened);
    if (opened == 0) {
      EXPECT_EQ(read(file).size(), 1u);
      a().close(file);
    }
    EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
  }
}

TEST_P(OpenTest, DeadSessionsAreCleanedUp) {
  make();
  Ino kept = mkfile("kept");
  ASSERT_TRUE(b().open(Caller{}, kept, O_RDONLY));
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "kept"));
  Ino tmp = made(b().tmpfile(Caller{}, kRootIno, 0600));
  Ino named = made(b().tmpfile(Caller{}, kRootIno, 0600));
  ASSERT_TRUE(b().link(Caller{}, named, kRootIno, "named"));
  bool locked = false;
  b().flock(Caller{}, named, 5, LockKind::write, false, [&](Status s) { locked = s.has_value(); });
  ASSERT_TRUE(locked);
  uint64_t sid = b().session_id();
  volume_->abandon(1);
  EXPECT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(code_of(a().getattr(kept)), 0) << "not before its time";
  clock().advance(61);
  ASSERT_TRUE(a().store().refresh_session(a().session_id(), clock().now().sec + 60));
  EXPECT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(code_of(a().getattr(kept)), ENOENT);
  EXPECT_EQ(code_of(a().getattr(tmp)), ENOENT);
  EXPECT_EQ(attr(named).nlink, 1u);
  auto dump = volume_->dump();
  EXPECT_FALSE(dump.sessions.contains(sid));
  EXPECT_FALSE(dump.lock_sessions.contains(sid));
}

// Records as an older client, or JuiceFS, may leave them.
TEST_P(OpenTest, AFileGoesOnlyWithoutNameAndWithItsLastKeeper) {
  make();
  Ino named = mkfile("named"), shared = mkfile("shared");
  ASSERT_TRUE(b().open(Caller{}, shared, O_RDONLY));
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "shared"));
  ASSERT_TRUE(a().store().run(
      [&](Transaction& tx) -> Status {
        tx.write(PutSustained{b().session_id(), named});
        tx.write(PutSustained{a().session_id(), shared});
        return {};
      },
      {}));
  volume_->abandon(1);
  clock().advance(61);
  ASSERT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(attr(named).nlink, 1u);
  EXPECT_EQ(attr(shared).nlink, 0u);
  a().stop();
  EXPECT_FALSE(volume_->dump().nodes.contains(shared));
  EXPECT_TRUE(volume_->dump().nodes.contains(named));
}

// The name may come from the client whose session dies, or the file lose it again.
TEST_P(OpenTest, CleanUpOfADeadSessionKeepsOnlyTmpfilesThatHaveAName) {
  make();
  Ino linked = made(b().tmpfile(Caller{}, kRootIno, 0600));
  Ino unlinked = made(b().tmpfile(Caller{}, kRootIno, 0600));
  for (Ino ino : {linked, unlinked})
    ASSERT_TRUE(volume_->data().write(b(), ino, 0, kUnit, ino, clock().now()));
  ASSERT_TRUE(b().link(Caller{}, linked, kRootIno, "linked"));
  ASSERT_TRUE(b().link(Caller{}, unlinked, kRootIno, "unlinked"));
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "unlinked"));
  volume_->abandon(1);
  clock().advance(61);
  ASSERT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(read(linked), (testing::FakeData::Units{{0, linked}}));
  EXPECT_EQ(code_of(a().getattr(unlinked)), ENOENT);
  EXPECT_TRUE(volume_->dump().sustained.empty());
}

TEST_P(OpenTest, ACleanedUpClientMayNotGoOn) {
  make();
  Ino file = mkfile("f");
  ASSERT_TRUE(b().open(Caller{}, file, O_RDWR));
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "f"));
  Ino other = mkfile("g");
  clock().advance(61);
  ASSERT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(code_of(volume_->data().write(b(), file, 0, kUnit, 1, clock().now())), ENOENT);
  EXPECT_EQ(code_of(volume_->data().write(b(), other, 0, kUnit, 1, clock().now())), 0);
}

// A client that is paused longer than its lease, while another cleans it up.
class PausedTest : public OpenTest {
 protected:
  void clean_up_b() {
    clock().advance(61);
    ASSERT_TRUE(a().clean_stale_sessions());
  }
  int lock(Meta& meta, Ino ino) {
    int answer = -1;
    meta.flock(Caller{}, ino, 7, LockKind::write, false, [&](Status s) { answer = code_of(s); });
    return answer;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, PausedTest, ::testing::ValuesIn(testing::local_engines()),
                         [](const auto& test) { return testing::engine_name(test.param); });

TEST_P(PausedTest, LearnsThatItsSessionIsGone) {
  make();
  Ino locked = mkfile("locked"), other = mkfile("other"), kept = mkfile("kept");
  for (Ino ino : {locked, other, kept}) ASSERT_TRUE(b().open(Caller{}, ino, O_RDWR));
  ASSERT_EQ(lock(b(), locked), 0);
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "kept"));
  const uint64_t before = b().session_id();
  clean_up_b();
  ASSERT_EQ(lock(a(), locked), 0);

  EXPECT_EQ(code_of(volume_->data().write(b(), locked, 0, kUnit, 1, clock().now())), ESTALE);
  EXPECT_NE(b().session_id(), before);
  EXPECT_TRUE(b().has_lost_locks(locked));
  EXPECT_FALSE(b().has_lost_locks(other));
  EXPECT_EQ(code_of(volume_->data().write(b(), other, 0, kUnit, 1, clock().now())), 0);
  EXPECT_EQ(code_of(volume_->data().write(b(), kept, 0, kUnit, 1, clock().now())), ENOENT);
  EXPECT_EQ(lock(b(), locked), EAGAIN) << "it is another's now";
  EXPECT_EQ(attr(locked).length, 0u);
  b().close(locked);
  EXPECT_FALSE(b().has_lost_locks(locked)) << "whoever opens it anew starts afresh";
  auto dump = volume_->dump();
  EXPECT_TRUE(dump.sessions.contains(b().session_id()));
  EXPECT_FALSE(dump.sessions.contains(before));
}

TEST_P(PausedTest, WhatItUnlinksThenHangsOnItsNewSession) {
  make();
  Ino file = mkfile("f");
  ASSERT_TRUE(b().open(Caller{}, file, O_RDWR));
  clean_up_b();
  ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "f"));
  Ino tmp = made(b().tmpfile(Caller{}, kRootIno, 0600));
  EXPECT_EQ(code_of(volume_->data().write(b(), file, 0, kUnit, 1, clock().now())), 0);
  volume_->abandon(1);
  clean_up_b();
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT)
      << "nobody would have cleaned up after a session without record";
  EXPECT_EQ(code_of(a().getattr(tmp)), ENOENT);
}

// The record is gone before the client could notice by its clock.
TEST_P(PausedTest, NothingHangsOnASessionThatWasRemoved) {
  for (int first = 0; first < 4; ++first) {
    make();
    Ino file = mkfile("f");
    ASSERT_TRUE(b().open(Caller{}, file, O_RDWR));
    const uint64_t before = b().session_id();
    ASSERT_TRUE(a().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(DeleteSession{before});
          return {};
        },
        {}));
    if (first == 0) {
      ASSERT_TRUE(b().unlink(Caller{}, kRootIno, "f"));
    }
    if (first == 1) made(b().tmpfile(Caller{}, kRootIno, 0600));
    if (first == 2) {
      ASSERT_EQ(lock(b(), file), 0);
    }
    if (first == 3)
      b().setlk(Caller{}, file, 1, {LockKind::write, 1, 0, 10}, false, [](Status s) { EXPECT_TRUE(s); });
    EXPECT_NE(b().session_id(), before);
    for (const auto& [ino, sid] : volume_->dump().sustained) EXPECT_EQ(sid, b().session_id());
    for (uint64_t sid : volume_->dump().lock_sessions) EXPECT_EQ(sid, b().session_id());
    TearDown();
    volume_.reset();
  }
}

// JuiceFS takes the locks first and the record last: to find the record is not enough.
TEST_P(PausedTest, LocksThatAreGoneAreMissedThoughTheSessionIsThere) {
  make();
  Ino file = mkfile("f");
  ASSERT_TRUE(b().open(Caller{}, file, O_RDWR));
  ASSERT_EQ(lock(b(), file), 0);
  const uint64_t before = b().session_id();
  clock().advance(61);
  mkfile("beats");
  ASSERT_TRUE(b().mknod(Caller{}, kRootIno, "g", NewNode{}));
  EXPECT_EQ(b().session_id(), before) << "nobody minded";
  clock().advance(61);
  ASSERT_TRUE(a().store().run(
      [&](Transaction& tx) -> Status {
        tx.write(DeleteFlock{file, {before, 7}});
        return {};
      },
      {}));
  ASSERT_TRUE(b().mknod(Caller{}, kRootIno, "h", NewNode{}));
  EXPECT_NE(b().session_id(), before);
  EXPECT_TRUE(b().has_lost_locks(file));
}

CIDER_META_TEST(TrashTest);

Ino hour_folder(Meta& meta) {
  DirCursor cursor;
  auto folders = meta.list_dir(kTrashIno, &cursor, 10, false);
  return folders && !folders->empty() ? folders->front().entry.ino : 0;
}

TEST_P(TrashTest, WhatIsRemovedGoesThere) {
  make({.trash_days = 1});
  Ino dir = mkdir("d");
  Ino file = mkfile("f", dir);
  write(file, 0, kUnit, 1);
  ASSERT_TRUE(a().unlink(Caller{}, dir, "f"));
  Ino folder = hour_folder(a());
  ASSERT_NE(folder, 0u);
  EXPECT_EQ(list(folder),
            (std::vector<std::string>{std::to_string(dir) + "-" + std::to_string(file) + "-f"}));
  EXPECT_EQ(attr(file).parent, folder);
  EXPECT_EQ(attr(file).nlink, 1u);
  EXPECT_EQ(read(file).size(), 1u);
  ASSERT_TRUE(b().rmdir(Caller{}, kRootIno, "d"));
  EXPECT_EQ(list(folder).size(), 2u);
  EXPECT_EQ(a().lookup(Caller{}, kRootIno, ".trash").value().ino, kTrashIno);
}

TEST_P(TrashTest, ItIsReadOnlyByNameButNotToOpenFiles) {
  make({.trash_days = 1});
  Ino open = mkfile("open"), closed = mkfile("closed");
  ASSERT_TRUE(a().open(Caller{}, open, O_RDWR));
  for (auto name : {"open", "closed"}) ASSERT_TRUE(a().unlink(Caller{}, kRootIno, name));
  EXPECT_EQ(code_of(a().truncate(Caller{}, open, 10, true, false)), 0);
  EXPECT_EQ(code_of(a().fallocate(Caller{}, open, 0, 0, 20)), 0);
  EXPECT_EQ(code_of(a().setattr(Caller{}, open, {.mode = 0600})), 0);
  EXPECT_EQ(code_of(a().truncate(Caller{}, closed, 10, true, false)), EPERM);
  EXPECT_EQ(code_of(a().setattr(Caller{}, closed, {.mode = 0600})), EPERM);
  EXPECT_EQ(code_of(a().open(Caller{}, closed, O_RDWR)), EPERM);
  EXPECT_EQ(code_of(a().open(Caller{}, closed, O_RDONLY)), 0);
  Ino folder = hour_folder(a());
  EXPECT_EQ(code_of(a().mknod(Caller{}, folder, "x", NewNode{})), EPERM);
  EXPECT_EQ(rename(kRootIno, "x", folder, "y"), EPERM);
  EXPECT_EQ(rename(kTrashIno, list(kTrashIno).front(), kRootIno, "y"), EPERM) << "the hour folders stay";
  EXPECT_EQ(code_of(a().unlink(user(1, 1), folder, list(folder).front())), EPERM);
}

TEST_P(TrashTest, RootTakesThingsOut) {
  make({.trash_days = 1});
  Ino file = mkfile("f"), dir = mkdir("d");
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
  ASSERT_TRUE(a().rmdir(Caller{}, kRootIno, "d"));
  Ino folder = hour_folder(a());
  std::string prefix = "1-";
  EXPECT_EQ(rename(folder, prefix + std::to_string(file) + "-f", kRootIno, "f2", 0, user(1, 1)), EPERM);
  EXPECT_EQ(rename(folder, prefix + std::to_string(file) + "-f", kRootIno, "f2"), 0);
  EXPECT_EQ(rename(folder, prefix + std::to_string(dir) + "-d", kRootIno, "d2"), 0);
  EXPECT_EQ(attr(kRootIno).nlink, 3u);
  EXPECT_EQ(attr(dir).parent, kRootIno);
  EXPECT_EQ(code_of(a().mknod(Caller{}, dir, "in", NewNode{})), 0);
}

TEST_P(TrashTest, AFolderInTheTrashTakesOnlyWhatIsRestored) {
  make({.trash_days = 1});
  Ino dir = mkdir("d");
  Ino file = mkfile("f", dir), sub = mkdir("sub", dir);
  ASSERT_TRUE(a().unlink(Caller{}, dir, "f"));
  ASSERT_TRUE(a().rmdir(Caller{}, dir, "sub"));
  ASSERT_TRUE(a().rmdir(Caller{}, kRootIno, "d"));
  Ino folder = hour_folder(a());
  std::string prefix = std::to_string(dir) + "-";
  std::string of_file = prefix + std::to_string(file) + "-f", of_sub = prefix + std::to_string(sub) + "-sub";
  EXPECT_EQ(rename(folder, of_file, dir, "f"), ENOENT);
  EXPECT_EQ(rename(folder, of_file, dir, "f", kRenameRestore, user(1, 1)), EPERM);
  EXPECT_EQ(rename(folder, of_file, dir, "f", kRenameRestore | kRenameNoReplace), 0);
  EXPECT_EQ(rename(folder, of_sub, dir, "sub", kRenameRestore | kRenameNoReplace), 0);
  EXPECT_EQ(attr(file).parent, dir);
  EXPECT_EQ(attr(sub).parent, dir);
  EXPECT_EQ(attr(dir).nlink, 3u);
  mkfile("f2");
  EXPECT_EQ(rename(kRootIno, "f2", dir, "f", kRenameRestore | kRenameNoReplace), EEXIST);
  EXPECT_EQ(rename(folder, "1-" + std::to_string(dir) + "-d", kRootIno, "d", kRenameRestore), 0);
  EXPECT_EQ(list(dir), (std::vector<std::string>{"f", "sub"}));
  EXPECT_EQ(a().resolve(Caller{}, kRootIno, "d/f")->ino, file);
  EXPECT_TRUE(list(folder).empty());
}

TEST_P(TrashTest, EachLinkHasItsPlaceAndTheLastOneEnds) {
  make({.trash_days = 1});
  Ino file = mkfile("f");
  std::string long_one = std::string(254, 'x') + "1", long_two = std::string(254, 'x') + "2";
  ASSERT_TRUE(a().link(Caller{}, file, kRootIno, long_one));
  ASSERT_TRUE(a().link(Caller{}, file, kRootIno, long_two));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, long_one));
  EXPECT_EQ(attr(file).nlink, 3u);
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, long_two));
  EXPECT_EQ(attr(file).nlink, 2u) << "its place in the trash was taken: names are cut at 255 bytes";
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
  Ino folder = hour_folder(a());
  for (const std::string& name : list(folder)) ASSERT_TRUE(a().unlink(Caller{}, folder, name));
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
}

TEST_P(TrashTest, SkippingItDeletes) {
  make({.trash_days = 1});
  Ino file = mkfile("f"), flagged = mkfile("g");
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f", true));
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
  ASSERT_TRUE(a().set_flags(Caller{}, flagged, kFlagSkipTrash));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "g"));
  EXPECT_EQ(code_of(a().getattr(flagged)), ENOENT);
}

TEST_P(TrashTest, OldHoursAreEmptied) {
  make({.trash_days = 1});
  Ino dir = mkdir("d");
  Ino file = mkfile("f", dir);
  write(file, 0, kUnit, 1);
  ASSERT_TRUE(a().unlink(Caller{}, dir, "f"));
  ASSERT_TRUE(a().rmdir(Caller{}, kRootIno, "d"));
  Time long_ago{clock().now().sec - 7200, 0};
  EXPECT_TRUE(b().clean_trash(long_ago));
  EXPECT_EQ(code_of(a().getattr(file)), 0);
  clock().advance(2 * 86400);
  EXPECT_TRUE(b().clean_trash(clock().now()));
  EXPECT_EQ(code_of(a().getattr(file)), ENOENT);
  EXPECT_TRUE(list(kTrashIno).empty());
  // The client still knows the folder that is gone.
  clock().advance(-2 * 86400);
  mkfile("again");
  EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "again"));
  EXPECT_EQ(list(kTrashIno).size(), 1u);
}

TEST_P(TrashTest, WhatCannotBeRemovedKeepsNobodyElse) {
  make({.trash_days = 1});
  Ino stays = mkfile("1");
  ASSERT_TRUE(a().link(Caller{}, stays, kRootIno, "also"));  // so that its flags may still be set
  mkfile("2");
  Ino dir = mkdir("d");
  mkfile("3", dir);
  for (const char* name : {"1", "2"}) ASSERT_TRUE(a().unlink(Caller{}, kRootIno, name));
  std::atomic<uint64_t> removed{0};
  ASSERT_TRUE(a().remove_tree(Caller{}, kRootIno, "d", false, &removed));
  ASSERT_TRUE(a().set_flags(Caller{}, stays, kFlagImmutable));
  Ino folder = hour_folder(a());
  clock().advance(2 * 86400);
  EXPECT_TRUE(b().clean_trash(clock().now()));
  EXPECT_EQ(list(folder).size(), 1u);
  ASSERT_TRUE(a().set_flags(Caller{}, stays, 0));
  EXPECT_TRUE(b().clean_trash(clock().now()));
  EXPECT_TRUE(list(kTrashIno).empty());
}

}  // namespace
}  // namespace cider::meta
