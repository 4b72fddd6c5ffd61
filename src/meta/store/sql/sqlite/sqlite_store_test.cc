#include "meta/store/sql/sqlite/sqlite_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "meta/model/slices.h"
#include "meta/store/sql/node.h"
#include "meta/testing/sqlite_testing.h"

namespace cider::meta::sqlite {
namespace {

using sql::from_sql_time;
using sql::SqlTime;
using sql::to_sql_time;

const Entry kFile{10, FileType::file};

// --- the volume

TEST(SqliteStore, makes_a_volume_once) {
  TestVolume volume;
  EXPECT_EQ(volume.store->load_setting().value(), "{}");
  EXPECT_EQ(code_of(volume.store->create_volume("{}", directory_attr(0777, 1), {})), EEXIST);
  EXPECT_EQ(volume.store->counter(Counter::next_inode), 2);
  EXPECT_EQ(volume.store->counter(Counter::next_chunk), 1);
  EXPECT_TRUE(ask(*volume.store, AttrRead{kRootIno, field::all, {}}).value->is_dir());
  EXPECT_EQ(ask(*volume.store, AttrRead{kTrashIno, field::all, {}}).value->mode, 0555);
  ASSERT_TRUE(volume.store->save_setting("{\"a\":1}"));
  EXPECT_EQ(open_store(volume.path)->load_setting().value(), "{\"a\":1}");
  EXPECT_EQ(volume.store->describe(), "sqlite3://" + volume.path);
}

TEST(SqliteStore, tells_of_quotas_that_juicefs_set) {
  for (const char* row : {"INSERT INTO jfs_dir_quota (inode,max_space,max_inodes,used_space,used_inodes) "
                          "VALUES (5,1,-1,0,0)",
                          "INSERT INTO jfs_user_group_quota "
                          "(qtype,qkey,max_space,max_inodes,used_space,used_inodes) VALUES (1,7,1,-1,0,0)"}) {
    TestVolume volume;
    EXPECT_FALSE(*volume.store->has_quotas());
    alter(volume.path, row);
    EXPECT_TRUE(*volume.store->has_quotas());
  }
}

TEST(SqliteStore, destroys_all_it_ever_made) {
  TestVolume volume;
  ASSERT_TRUE(write(*volume.store, PutLockWait{{{1, 2}, 3, {LockKind::read, 4, 5, 6}}}));
  ASSERT_TRUE(volume.store->destroy_volume());
  EXPECT_EQ(volume.store->load_setting().value(), std::nullopt);
  EXPECT_TRUE(rows(volume.path, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").empty());
  ASSERT_TRUE(volume.store->create_volume("again", directory_attr(0777, 1), {}));
  EXPECT_EQ(volume.store->load_setting().value(), "again");
}

TEST(SqliteStore, says_what_is_wrong_with_a_file) {
  TempFolder folder;
  auto open = [&](const std::string& path, bool create = false) {
    return code_of(open_sqlite(path, {.create = create}));
  };
  EXPECT_EQ(open(folder / "none.db"), ENOENT);
  EXPECT_FALSE(std::filesystem::exists(folder / "none.db"));
  EXPECT_EQ(open(folder / "no-folder/x.db", true), ENOENT);
  EXPECT_EQ(open(folder / ""), EISDIR);
  EXPECT_EQ(open(""), EINVAL);
  std::ofstream(folder / "text") << std::string(5000, 'x');
  EXPECT_EQ(open(folder / "text"), EINVAL);
  EXPECT_EQ(open(folder / "text", true), EINVAL);
  std::ofstream(folder / "empty") << "";
  EXPECT_EQ(open_store(folder / "empty")->load_setting().value(), std::nullopt);
  auto foreign = open_store(folder / "foreign", true);
  alter(folder / "foreign", "CREATE TABLE other (x)");
  EXPECT_EQ(foreign->load_setting().value(), std::nullopt);
  std::ofstream(folder / "theirs") << "";
  alter(folder / "theirs", "CREATE TABLE other (x)");
  auto content = [&] {
    std::ifstream file(folder / "theirs", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = content();
  EXPECT_EQ(open_store(folder / "theirs")->load_setting().value(), std::nullopt);
  EXPECT_EQ(content(), before);  // not even its journal's mode
  EXPECT_EQ(code_of(open_sqlite(folder / "foreign", {.create = true, .read_only = true})), EINVAL);
}

TEST(SqliteStore, a_damaged_file_is_an_error_not_a_crash) {
  TestVolume volume;
  for (Ino ino = 100; ino < 600; ++ino) ASSERT_TRUE(write(*volume.store, InsertNode{ino, file_attr(1)}));
  volume.store.reset();
  {
    std::fstream file(volume.path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(20 * 4096, '\xA5');
  }
  auto store = open_sqlite(volume.path, {});
  if (!store) return;  // found at once
  bool failed = false;
  for (Ino ino = 1; ino < 600; ++ino) {
    Status status = (*store)->read(
        [&](Transaction& transaction) {
          transaction.attr(ino, field::all);
          return transaction.fetch();
        },
        {});
    if (!status) failed = true;
  }
  EXPECT_TRUE(failed);
}

TEST(SqliteStore, read_only_refuses_writes) {
  TestVolume volume;
  auto store = open_sqlite(volume.path, {.read_only = true}).value();
  EXPECT_EQ(code_of(write(*store, DeleteNode{1})), EROFS);
  EXPECT_EQ(code_of(store->add_counter(Counter::next_inode, 1)), EROFS);
  EXPECT_EQ(store->load_setting().value(), "{}");
  EXPECT_TRUE(store->list_sessions());
  EXPECT_TRUE(store->sync());
  // What is committed later is seen.
  ASSERT_TRUE(volume.store->save_setting("new"));
  EXPECT_EQ(store->load_setting().value(), "new");
}

TEST(SqliteStore, completes_the_tables_of_an_older_client) {
  TestVolume volume;
  volume.store.reset();
  std::string schema = "SELECT type,name,sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
  alter(volume.path,
        "ALTER TABLE jfs_node DROP COLUMN tier_id; ALTER TABLE jfs_node DROP COLUMN default_acl_id;"
        "ALTER TABLE jfs_node DROP COLUMN ctimensec; DROP TABLE jfs_acl; DROP TABLE jfs_session2;"
        "DROP INDEX IDX_jfs_chunk_ref_refs");
  EXPECT_EQ(code_of(open_sqlite(volume.path, {.read_only = true})), EROFS);
  auto store = open_store(volume.path);
  EXPECT_EQ(ask(*store, AttrRead{kRootIno, field::all, {}}).value->ctime, (Time{1'700'000'000, 123'456'000}));
  EXPECT_TRUE(store->list_sessions());
  EXPECT_EQ(store->intern_acl({7, 5, kAclUnset, 0, {}, {}}), 1U);
  EXPECT_EQ(
      rows(volume.path, "SELECT count(*) FROM sqlite_schema WHERE name='IDX_jfs_chunk_ref_refs'").front(),
      "1:integer");
  // A column that cannot be added.
  store.reset();
  alter(
      volume.path,
      "DROP TABLE jfs_edge; CREATE TABLE jfs_edge (parent INTEGER, name BLOB, inode INTEGER, type INTEGER)");
  EXPECT_EQ(code_of(open_sqlite(volume.path, {})), EINVAL);
}

// --- records

TEST(SqliteStore, times_are_divided_as_go_does) {
  EXPECT_EQ(to_sql_time({1, 999'999'999}), (SqlTime{1'999'999, 999}));
  EXPECT_EQ(to_sql_time({-1, 999'999'999}), (SqlTime{0, -1}));  // one nanosecond before 1970
  EXPECT_EQ(to_sql_time({-1, 1}), (SqlTime{-999'999, -999}));
  EXPECT_EQ(to_sql_time({-2, 500'000'000}), (SqlTime{-1'500'000, 0}));
  for (Time t : {Time{0, 0}, Time{-1, 999'999'999}, Time{-1, 1}, Time{-2'000'000'000, 7},
                 Time{253'402'300'799, 999'999'999}, Time{1'700'000'000, 123'456'789}}) {
    EXPECT_EQ(from_sql_time(to_sql_time(t)), t) << t.sec;
  }
  // Beyond the column's range: its ends, and no overflow.
  EXPECT_EQ(from_sql_time(to_sql_time({INT64_MAX, 0})).sec, INT64_MAX / 1'000'000);
  EXPECT_EQ(from_sql_time(to_sql_time({INT64_MIN, 999'999'999})).sec, INT64_MIN / 1'000'000 - 1);
}

TEST(SqliteStore, entries_and_lookups) {
  TestVolume volume;
  Store& store = *volume.store;
  const std::string name("a\0\xFF'b", 5);
  EXPECT_FALSE(ask(store, EntryRead{1, name, {}}).value);
  EXPECT_TRUE(ask(store, DirEmptyRead{1}).empty);
  ASSERT_TRUE(write(store, InsertEntry{1, name, kFile}));
  EXPECT_EQ(ask(store, EntryRead{1, name, {}}).value, kFile);
  EXPECT_FALSE(ask(store, DirEmptyRead{1}).empty);
  EXPECT_FALSE(ask(store, LookupRead{1, name, field::all, {}, {}}).attr);  // dangles
  ASSERT_TRUE(write(store, InsertNode{10, file_attr(1)}));
  LookupRead found = ask(store, LookupRead{1, name, field::all, {}, {}});
  EXPECT_EQ(found.value, kFile);
  EXPECT_EQ(found.attr, file_attr(1));
  EXPECT_EQ(code_of(write(store, InsertEntry{1, name, kFile})), EEXIST);
  // By parent, name and inode.
  EXPECT_EQ(code_of(write(store, DeleteEntry{1, name, {11, FileType::file}})), EIO);
  EXPECT_EQ(code_of(write(store, ReplaceEntry{1, name, {11, FileType::file}, {12, FileType::file}})), EIO);
  auto id = rows(volume.path, "SELECT id FROM jfs_edge");
  ASSERT_TRUE(write(store, ReplaceEntry{1, name, kFile, {12, FileType::fifo}}));
  EXPECT_EQ(ask(store, EntryRead{1, name, {}}).value, (Entry{12, FileType::fifo}));
  EXPECT_EQ(rows(volume.path, "SELECT id FROM jfs_edge"), id);
  ASSERT_TRUE(
      write(store, InsertEntry{1, "x", {12, FileType::fifo}}, InsertEntry{2, "y", {12, FileType::fifo}}));
  EXPECT_EQ(ask(store, ParentsRead{12, {}}).parents, (std::map<Ino, uint32_t>{{1, 2}, {2, 1}}));
  ASSERT_TRUE(write(store, DeleteEntry{1, name, {12, FileType::fifo}}));
  EXPECT_FALSE(ask(store, EntryRead{1, name, {}}).value);
}

TEST(SqliteStore, inodes) {
  TestVolume volume;
  Store& store = *volume.store;
  Attr attr = file_attr(1);
  attr.uid = attr.gid = attr.rdev = attr.nlink = 0xFFFFFFFF;
  attr.length = 1ULL << 62;
  attr.atime = {-5, 999'999'999};
  attr.access_acl = 3;
  attr.default_acl = 4;
  attr.tier = 255;
  attr.flags = 255;
  attr.mode = 07777;
  ASSERT_TRUE(write(store, InsertNode{20, attr}));
  EXPECT_EQ(ask(store, AttrRead{20, field::all, {}}).value, attr);
  EXPECT_EQ(code_of(write(store, InsertNode{20, attr})), kInodeTaken);
  EXPECT_EQ(code_of(write(store, PatchNode{21, field::mode, attr, 0, {}, {}})), EIO);
  ASSERT_TRUE(write(store, SetSymlink{20, "t"}, SetXattr{20, "user.a", "1"}, DeleteNode{20}));
  EXPECT_FALSE(ask(store, AttrRead{20, field::all, {}}).value);
  EXPECT_FALSE(ask(store, SymlinkRead{20, {}}).target);
  EXPECT_TRUE(ask(store, XattrNamesRead{20, {}}).names.empty());
}

TEST(SqliteStore, a_patch_sets_the_fields_it_names_and_no_other) {
  TestVolume volume;
  Store& store = *volume.store;
  Attr other;
  other.flags = 1;
  other.type = FileType::socket;
  other.mode = 01;
  other.uid = other.gid = other.nlink = other.rdev = other.access_acl = other.default_acl = 9;
  other.length = other.parent = 9;
  other.tier = 9;
  other.atime = other.mtime = other.ctime = {9, 9};
  Ino ino = 100;
  for (Fields set = 1; set <= field::all; set = set < (1U << 13) ? set << 1 : set * 2 + 0x155) {
    Attr expected = file_attr(1);
    ASSERT_TRUE(write(store, InsertNode{ino, expected}, PatchNode{ino, set & field::all, other, 0, {}, {}}));
    copy_fields(&expected, other, set & field::all);
    EXPECT_EQ(ask(store, AttrRead{ino, field::all, {}}).value, expected) << set;
    ++ino;
  }
}

TEST(SqliteStore, touches_move_forward_and_links_add_up) {
  TestVolume volume;
  Store& store = *volume.store;
  auto attr = [&] { return *ask(store, AttrRead{1, field::all, {}}).value; };
  auto touch = [&](Time t) { return write(store, PatchNode{1, 0, {}, 1, t, {}}); };
  Time now{1'800'000'000, 5'001'002};
  ASSERT_TRUE(touch(now));
  EXPECT_EQ(attr().mtime, now);
  EXPECT_EQ(attr().ctime, now);
  EXPECT_EQ(attr().nlink, 3U);
  ASSERT_TRUE(touch({now.sec, 1'000'000}));  // late: shows all the same
  EXPECT_EQ(attr().mtime, (Time{now.sec, now.nsec + 1}));
  EXPECT_EQ(attr().ctime, (Time{now.sec, now.nsec + 1}));
  EXPECT_EQ(attr().nlink, 4U);
  // utimes put mtime far ahead: a later change must bring it back to the present.
  Attr ahead;
  ahead.mtime = {now.sec + 1'000'000, 0};
  ahead.ctime = now;
  ASSERT_TRUE(write(store, PatchNode{1, field::mtime | field::ctime, ahead, 0, {}, {}}));
  ASSERT_TRUE(touch({now.sec + 1, 0}));
  EXPECT_EQ(attr().mtime, (Time{now.sec + 1, 0}));
  // A ctime that is ahead comes of a wrong clock.
  ahead.ctime = {now.sec + 100, 0};
  ASSERT_TRUE(write(store, PatchNode{1, field::ctime, ahead, 0, {}, {}}));
  ASSERT_TRUE(write(store, PatchNode{1, 0, {}, -2, {}, Time{now.sec + 2, 7}}));
  EXPECT_EQ(attr().ctime, (Time{now.sec + 2, 7}));
  EXPECT_EQ(attr().mtime, (Time{now.sec + 1, 0}));
  EXPECT_EQ(attr().nlink, 3U);
}

TEST(SqliteStore, xattrs_and_symlinks) {
  TestVolume volume;
  Store& store = *volume.store;
  std::string name = "user.\xFF\xFE", value("\0v\0", 3);
  ASSERT_TRUE(write(store, SetXattr{1, name, value}, SetXattr{1, "user.empty", ""}, SetSymlink{5, value}));
  EXPECT_EQ(ask(store, XattrRead{1, name, {}}).value, value);
  EXPECT_EQ(ask(store, XattrRead{1, "user.empty", {}}).value, "");
  EXPECT_EQ(
      rows(volume.path, "SELECT typeof(name),typeof(value) FROM jfs_xattr WHERE length(value)=0").front(),
      "text:text|blob:text");
  EXPECT_EQ(ask(store, XattrNamesRead{1, {}}).names.size(), 2U);
  ASSERT_TRUE(write(store, SetXattr{1, name, "2"}));
  EXPECT_EQ(ask(store, XattrRead{1, name, {}}).value, "2");
  ASSERT_TRUE(write(store, RemoveXattr{1, name}));
  EXPECT_FALSE(ask(store, XattrRead{1, name, {}}).value);
  EXPECT_EQ(ask(store, SymlinkRead{5, {}}).target, value);
}

TEST(SqliteStore, chunks) {
  TestVolume volume;
  Store& store = *volume.store;
  std::string a = encode_slices({Slice{0, 1, 10, 0, 10}}), b = encode_slices({Slice{10, 2, 10, 0, 10}});
  std::string hole = encode_slices({Slice{0, 0, 0, 0, 64 << 20}});  // as JuiceFS: no slice, so no size
  uint32_t count = 0;
  ASSERT_TRUE(write(store, AppendSlices{7, 0, a, &count}));
  EXPECT_EQ(count, 1U);
  ASSERT_TRUE(write(store, AppendSlices{7, 0, b + b, &count}, AppendSlices{7, 3, a, nullptr},
                    AppendSlices{7, 9, a, nullptr}));
  EXPECT_EQ(count, 3U);
  EXPECT_EQ(ask(store, ChunkRead{7, 0, false, {}}).records, a + b + b);
  EXPECT_EQ(rows(volume.path, "SELECT DISTINCT typeof(slices) FROM jfs_chunk"),
            std::vector<std::string>{"blob:text"});
  EXPECT_EQ(ask(store, ChunkRead{7, 1, false, {}}).records, "");
  EXPECT_EQ(ask(store, ChunkRangeRead{7, 0, 3, {}}).chunks,
            (std::map<uint32_t, std::string>{{0, a + b + b}, {3, a}}));
  ASSERT_TRUE(write(store, HoleOverChunks{7, 1, 8}));
  EXPECT_EQ(ask(store, ChunkRangeRead{7, 1, 9, {}}).chunks,
            (std::map<uint32_t, std::string>{{3, a + hole}, {9, a}}));
  EXPECT_EQ(rows(volume.path, "SELECT DISTINCT typeof(slices) FROM jfs_chunk"),
            std::vector<std::string>{"blob:text"});
  EXPECT_EQ(code_of(write(store, ReplaceSlices{7, 0, b, a})), EIO);
  ASSERT_TRUE(write(store, ReplaceSlices{7, 0, a + b, b}));
  EXPECT_EQ(ask(store, ChunkRead{7, 0, true, {}}).records, b + b);
  EXPECT_EQ(store.chunks_of(7, 0).value(), (std::vector<uint32_t>{0, 3, 9}));
  ASSERT_TRUE(write(store, ReplaceSlices{7, 0, b + b, ""}, DeleteChunk{7, 3}));
  EXPECT_EQ(store.chunks_of(7, 0).value(), std::vector<uint32_t>{9});
  alter(volume.path, "UPDATE jfs_chunk SET slices=x'0102'");
  Status damaged = store.read(
      [](Transaction& transaction) {
        transaction.ask(ChunkRead{7, 9, false, {}});
        return transaction.fetch();
      },
      {});
  EXPECT_EQ(code_of(damaged), EIO);
}

TEST(SqliteStore, slice_references) {
  TestVolume volume;
  Store& store = *volume.store;
  auto refs = [&] { return ask(store, SliceRefRead{5, 100, {}}).refs; };
  EXPECT_FALSE(refs());
  EXPECT_EQ(code_of(write(store, AddSliceRef{5, 100, 1})), EIO);
  EXPECT_TRUE(write(store, AddSliceRef{5, 100, -1}));
  ASSERT_TRUE(write(store, InsertSliceRef{5, 100, 1}));
  EXPECT_EQ(code_of(write(store, InsertSliceRef{5, 100, 1})), EEXIST);
  ASSERT_TRUE(write(store, AddSliceRef{5, 100, 2}, DeleteSliceRef{5, 100}));
  EXPECT_EQ(refs(), 3);
  EXPECT_TRUE(store.unreferenced_slices(10)->empty());
  ASSERT_TRUE(write(store, AddSliceRef{5, 100, -3}));
  EXPECT_EQ(store.unreferenced_slices(10).value(), (std::vector<DelayedSlice>{{5, 100}}));
  ASSERT_TRUE(write(store, DeleteSliceRef{5, 100}));
  EXPECT_FALSE(refs());
  ASSERT_TRUE(write(store, PutDelayedSlices{8, 1000, "abc"}));
  EXPECT_EQ(ask(store, DelayedSlicesRead{8, 1000, {}}).records, "abc");
  EXPECT_EQ(store.delayed_slices(1001, 10).value(), (std::vector<DelayedRow>{{8, 1000}}));
  ASSERT_TRUE(write(store, DeleteDelayedSlices{8, 1000}));
  EXPECT_FALSE(ask(store, DelayedSlicesRead{8, 1000, {}}).records);
}

TEST(SqliteStore, sustained_and_deleted_files) {
  TestVolume volume;
  Store& store = *volume.store;
  ASSERT_TRUE(write(store, PutSustained{1, 5}, PutSustained{1, 5}, PutSustained{2, 5}, PutSustained{1, 6}));
  EXPECT_EQ(ask(store, SustainedRead{5, {}}).sids, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(store.sustained_inodes(1).value(), (std::vector<Ino>{5, 6}));
  ASSERT_TRUE(write(store, DeleteSustained{1, 5}));
  EXPECT_EQ(ask(store, SustainedRead{5, {}}).sids, std::vector<uint64_t>{2});
  ASSERT_TRUE(write(store, PutDeletedFile{5, 100, 1000}, PutDeletedFile{6, 100, 2000}));
  auto files = store.deleted_files(2000, 10).value();
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].ino, 5U);
  EXPECT_EQ(files[0].length, 100U);
  ASSERT_TRUE(write(store, DeleteDeletedFile{5, 100}));
  EXPECT_EQ(store.deleted_files(3000, 1)->front().ino, 6U);
}

TEST(SqliteStore, locks_waits_and_sessions) {
  TestVolume volume;
  Store& store = *volume.store;
  const uint64_t owner = 0xFEDCBA9876543210;
  ASSERT_TRUE(store.put_session({7, 1000, "{}"}));
  EXPECT_EQ(ask(store, SessionRead{7, {}}).expire, 1000);
  ASSERT_TRUE(store.refresh_session(7, 2000));
  EXPECT_EQ(code_of(store.refresh_session(8, 2000)), ENOENT);
  EXPECT_EQ(store.list_sessions()->front().expire, 2000);
  std::vector<PlockRange> ranges = {{LockKind::read, 1, 0, 9}, {LockKind::write, 1, 20, UINT64_MAX >> 1}};
  LockWait wait{{7, owner}, 5, ranges[0]};
  EXPECT_TRUE(ask(store, LockWaitsRead{}).waits.empty());
  ASSERT_TRUE(write(store, DeleteLockWait{wait.waiter}));
  ASSERT_TRUE(write(store, PutFlock{5, {{7, owner}, LockKind::write}}, PutPlock{5, {{7, owner}, ranges}},
                    PutLockWait{wait}));
  EXPECT_EQ(ask(store, FlocksRead{5, {}}).table, (std::vector<Flock>{{{7, owner}, LockKind::write}}));
  EXPECT_EQ(ask(store, PlocksRead{5, {}}).table, (std::vector<Plock>{{{7, owner}, ranges}}));
  EXPECT_EQ(ask(store, LockWaitsRead{}).waits, std::vector<LockWait>{wait});
  EXPECT_EQ(ask(store, HolderLocksRead{{7, owner}, {}}).inodes, std::vector<Ino>{5});
  ASSERT_TRUE(write(store, PutFlock{5, {{7, owner}, LockKind::read}}, DeleteLockWait{wait.waiter}));
  EXPECT_EQ(rows(volume.path, "SELECT char(ltype) FROM jfs_flock").front(), "R:text");
  EXPECT_TRUE(ask(store, LockWaitsRead{}).waits.empty());
  ASSERT_TRUE(write(store, PutPlock{5, {{7, owner}, {}}}, DeleteFlock{5, {7, owner}}));
  EXPECT_TRUE(store.session_locks(7)->empty());
  ASSERT_TRUE(write(store, PutFlock{5, {{7, owner}, LockKind::write}}, PutLockWait{wait}, DeleteSession{7}));
  EXPECT_FALSE(ask(store, SessionRead{7, {}}).expire);
  EXPECT_TRUE(ask(store, FlocksRead{5, {}}).table.empty());
  EXPECT_TRUE(ask(store, LockWaitsRead{}).waits.empty());
}

TEST(SqliteStore, counters_and_acls) {
  TestVolume volume;
  Store& store = *volume.store;
  EXPECT_EQ(store.add_counter(Counter::next_inode, 1024), 1026);
  EXPECT_EQ(store.add_counter(Counter::next_trash, 1), 1);  // no row before
  EXPECT_EQ(store.counter(Counter::next_inode), 1026);
  EXPECT_EQ(store.set_if_small(Counter::last_cleanup_files, 1000, 100), true);
  EXPECT_EQ(store.set_if_small(Counter::last_cleanup_files, 1099, 100), false);
  EXPECT_EQ(store.set_if_small(Counter::last_cleanup_files, 1101, 100), true);
  AclRule rule{7, 5, 6, 4, {{1000, 7}, {0xFFFFFFFF, 1}}, {}};
  uint32_t id = store.intern_acl(rule).value();
  EXPECT_EQ(store.acl(id).value(), rule);
  EXPECT_EQ(store.intern_acl(rule), id);
  EXPECT_NE(store.intern_acl(AclRule{}), id);
  EXPECT_EQ(store.acl(99).value(), std::nullopt);
}

TEST(SqliteStore, usage_and_directory_statistics) {
  TestVolume volume;
  Store& store = *volume.store;
  ASSERT_TRUE(write(store, CreateDirStat{1}, AddDirStat{1, {10, 4096, 1}}, AddUsage{4096, 1},
                    AddDirStat{2, {1, 1, 1}}));
  ASSERT_TRUE(write(store, AddDirStat{1, {-5, 0, 1}}, AddUsage{-96, 2}));
  EXPECT_EQ(ask(store, DirStatRead{1, {}}).stat, (DirStat{5, 4096, 2}));
  EXPECT_FALSE(ask(store, DirStatRead{2, {}}).stat);  // no row: nothing to add to
  EXPECT_EQ(ask(store, UsageRead{}).space, 4000);
  EXPECT_EQ(ask(store, UsageRead{}).inodes, 3);
  ASSERT_TRUE(write(store, AddDirStat{1, {1, 1, 1}}, DeleteDirStat{1}, CreateDirStat{3}));
  EXPECT_FALSE(ask(store, DirStatRead{1, {}}).stat);
  EXPECT_EQ(ask(store, DirStatRead{3, {}}).stat, DirStat{});
}

// --- transactions

TEST(SqliteStore, an_error_leaves_nothing_behind) {
  TestVolume volume;
  Store& store = *volume.store;
  auto failed = [&](Transaction& transaction) -> Status {
    transaction.write(InsertEntry{1, "a", kFile});
    return fail(EPERM);
  };
  EXPECT_EQ(code_of(store.run(failed, {})), EPERM);
  // The third write fails when two are applied.
  EXPECT_EQ(code_of(write(store, InsertEntry{1, "a", kFile}, AddUsage{5, 5}, InsertNode{1, file_attr(1)})),
            kInodeTaken);
  EXPECT_FALSE(ask(store, EntryRead{1, "a", {}}).value);
  EXPECT_EQ(ask(store, UsageRead{}).space, 0);
  std::stop_source stopped;
  stopped.request_stop();
  auto never = [](Transaction&) -> Status { return fail(EPERM); };
  EXPECT_EQ(code_of(store.run(never, stopped.get_token())), EINTR);
}

// --- listings

class SqliteListing : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(With, SqliteListing, ::testing::Bool(),
                         [](auto& with) { return with.param ? "attrs" : "names"; });

TEST_P(SqliteListing, is_in_pages_and_shows_each_entry_once) {
  const bool with_attrs = GetParam();
  TestVolume volume;
  Store& store = *volume.store;
  std::map<std::string, Ino> wanted;
  for (Ino ino = 100; ino < 150; ++ino) {
    std::string name = std::string(1, static_cast<char>(ino * 5)) + std::to_string(ino);
    ASSERT_TRUE(write(store, InsertEntry{1, name, {ino, FileType::file}}));
    wanted[name] = ino;
  }
  ASSERT_TRUE(write(store, InsertNode{100, file_attr(1)}));
  std::map<std::string, Ino> found;
  DirCursor cursor;
  Ino added = 1000;
  while (!cursor.at_end) {
    auto page = store.list_dir(1, &cursor, 7, with_attrs).value();
    EXPECT_LE(page.size(), 7U);
    for (auto& listed : page) {
      EXPECT_TRUE(found.emplace(listed.name, listed.entry.ino).second) << listed.name;
      EXPECT_EQ(listed.attr.has_value(), with_attrs && listed.entry.ino == 100);
    }
    // Others add before and behind the cursor, and replace what stays.
    for (const char* front : {"\x01", "\xFF"}) {
      ASSERT_TRUE(write(store, InsertEntry{1, front + std::to_string(added), {added, FileType::file}}));
      ++added;
    }
    ASSERT_LT(added, 1100U) << "the listing does not end";
    auto& [name, ino] = *wanted.rbegin();
    ASSERT_TRUE(write(store, ReplaceEntry{1, name, {ino, FileType::file}, {ino + 1, FileType::file}}));
    ++ino;
  }
  EXPECT_EQ(found.size(), wanted.size());
  for (auto& [name, ino] : wanted) EXPECT_TRUE(found.contains(name));
  EXPECT_TRUE(store.list_dir(1, &cursor, 7, with_attrs)->empty());
}

TEST(SqliteStore, a_page_walks_the_index) {
  TestVolume volume;
  for (const char* columns : {"name,inode,type FROM jfs_edge e",
                              "e.name,n.mode FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode=e.inode"}) {
    std::string plan;
    for (auto& row :
         rows(volume.path, std::string("EXPLAIN QUERY PLAN SELECT ") + columns +
                               " WHERE e.parent=1 AND e.name>x'01' AND e.id<=5 ORDER BY e.name LIMIT 10")) {
      plan += row + "\n";
    }
    EXPECT_NE(plan.find("UQE_jfs_edge_edge (parent=? AND name>?)"), plan.npos) << plan;
    EXPECT_EQ(plan.find("TEMP B-TREE"), plan.npos) << plan;
  }
}

}  // namespace
}  // namespace cider::meta::sqlite
