// Scans of whole tables: what the collection of garbage goes by.
#include <set>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::kUnit;

CIDER_META_TEST(ScanTest);

// All rows of a table; a row that comes twice (Redis) counts once.
template <class Row, class Key>
auto all_rows(Store& store, Result<std::vector<Row>> (Store::*scan)(TableCursor*, size_t), size_t limit,
              Key key) {
  std::map<decltype(key(Row{})), Row> rows;
  TableCursor cursor;
  for (int pages = 0; !cursor.at_end && pages < 100'000; ++pages) {
    auto page = (store.*scan)(&cursor, limit);
    if (!page) {
      ADD_FAILURE() << page.error().to_string();
      break;
    }
    EXPECT_LE(page->size(), limit);
    for (Row& row : *page) rows.emplace(key(row), std::move(row));
  }
  EXPECT_TRUE(cursor.at_end);
  return rows;
}

auto chunk_rows(Store& store, size_t limit) {
  return all_rows(store, &Store::scan_chunks, limit,
                  [](const ChunkRow& row) { return std::pair(row.ino, row.index); });
}

TEST_P(ScanTest, NothingIsInAnEmptyVolume) {
  make();
  EXPECT_TRUE(chunk_rows(a().store(), 10).empty());
  EXPECT_TRUE(
      all_rows(a().store(), &Store::scan_slice_counts, 10, [](const SliceCount& c) { return c.id; }).empty());
  EXPECT_TRUE(
      all_rows(a().store(), &Store::scan_delayed, 10, [](const DelayedList& l) { return l.row.id; }).empty());
  EXPECT_TRUE(all_rows(a().store(), &Store::scan_deleted_files, 10, [](const DeletedFile& f) {
                return f.ino;
              }).empty());
}

TEST_P(ScanTest, EveryChunkIsShownWithItsRecords) {
  make();
  for (int i = 0; i < 250; ++i) {
    const Ino ino = mkfile("f" + std::to_string(i));
    write(ino, 0, kUnit, 1);
    if (i % 10 == 0) write(ino, kUnit, kUnit, 2);
    if (i % 50 == 0) write(ino, 7 * kChunkSize, kUnit, 3);
  }
  const auto expected = volume_->dump().chunks;
  EXPECT_EQ(expected.size(), 255u);
  for (size_t limit : {1, 7, 1000}) {
    const auto rows = chunk_rows(a().store(), limit);
    ASSERT_EQ(rows.size(), expected.size());
    for (const auto& [key, row] : rows) EXPECT_EQ(decode_slices(row.records).value(), expected.at(key));
  }
}

TEST_P(ScanTest, RowsThatStayAreShownWhileOthersComeAndGo) {
  make();
  std::vector<Ino> stay;
  for (int i = 0; i < 100; ++i) {
    stay.push_back(mkfile("s" + std::to_string(i)));
    write(stay.back(), 0, kUnit, 1);
  }
  std::set<Ino> shown;
  TableCursor cursor;
  for (int i = 0; !cursor.at_end && i < 1000; ++i) {
    auto page = a().store().scan_chunks(&cursor, 5);
    ASSERT_TRUE(page) << page.error().to_string();
    for (const ChunkRow& row : *page) shown.insert(row.ino);
    if (i >= 20) continue;
    for (int j = 0; j < 20; ++j) write(mkfile("n" + std::to_string(100 * i + j)), 0, kUnit, 1);
  }
  for (Ino ino : stay) EXPECT_TRUE(shown.contains(ino)) << ino;
}

TEST_P(ScanTest, CountsAreShownAsSqlCounts) {
  make();
  std::map<std::pair<uint64_t, uint32_t>, int64_t> expected;
  for (int i = 0; i < 30; ++i) {
    const uint64_t id = a().next_slice_id().value();
    const auto size = static_cast<uint32_t>(1000 + i);
    expected[{id, size}] = i - 3;
    ASSERT_TRUE(b().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(InsertSliceRef{id, size, i - 3, true});
          return {};
        },
        {}));
  }
  for (size_t limit : {1, 8, 1000}) {
    const auto rows = all_rows(a().store(), &Store::scan_slice_counts, limit,
                               [](const SliceCount& c) { return std::pair(c.id, c.size); });
    ASSERT_EQ(rows.size(), expected.size());
    for (const auto& [key, row] : rows) EXPECT_EQ(row.refs, expected.at(key));
  }
  // So that the volume is sound at the end.
  ASSERT_TRUE(b().store().run(
      [&](Transaction& tx) -> Status {
        for (const auto& [key, refs] : expected) {
          tx.write(AddSliceRef{key.first, key.second, -refs});
          tx.write(DeleteSliceRef{key.first, key.second});
        }
        return {};
      },
      {}));
}

TEST_P(ScanTest, DelayedSlicesAndDeletedFilesAreShown) {
  make({.trash_days = 1});
  std::map<uint64_t, std::vector<DelayedSlice>> delayed;
  for (uint64_t id = 1000; id < 1020; ++id) {
    delayed[id] = {{id + 1, 5}, {id + 2, 6}};
    ASSERT_TRUE(b().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(PutDelayedSlices{id, 77, encode_delayed_slices(delayed[id])});
          tx.write(PutDeletedFile{id, 10 * id, static_cast<int64_t>(id + 5)});
          return {};
        },
        {}));
  }
  for (size_t limit : {1, 6, 1000}) {
    const auto lists = all_rows(a().store(), &Store::scan_delayed, limit,
                                [](const DelayedList& list) { return list.row.id; });
    ASSERT_EQ(lists.size(), delayed.size());
    for (const auto& [id, list] : lists) {
      EXPECT_EQ(list.slices, delayed[id]);
      EXPECT_EQ(list.row.deleted, 77);
    }
    const auto files = all_rows(a().store(), &Store::scan_deleted_files, limit,
                                [](const DeletedFile& file) { return file.ino; });
    ASSERT_EQ(files.size(), delayed.size());
    for (const auto& [ino, file] : files) {
      EXPECT_EQ(file.length, 10 * ino);
      EXPECT_EQ(file.deleted, static_cast<int64_t>(ino + 5));
    }
  }
  ASSERT_TRUE(b().store().run(
      [&](Transaction& tx) -> Status {
        for (const auto& [id, slices] : delayed) {
          tx.write(DeleteDelayedSlices{id, 77});
          tx.write(DeleteDeletedFile{id, 10 * id});
        }
        return {};
      },
      {}));
}

}  // namespace
}  // namespace cider::meta
