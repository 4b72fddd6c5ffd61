#include "meta/store/sql/dialect.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "meta/store/sql/changes.h"
#include "meta/store/sql/patch.h"
#include "meta/store/sql/questions.h"

namespace cider::meta::sql {
namespace {

const Dialect kSqlite(Dialect::Kind::sqlite);
const Dialect kPostgres(Dialect::Kind::postgres);
const Dialect kMysql(Dialect::Kind::mysql, "vol");

std::vector<std::string> texts(const WriteItem& item, const Dialect& dialect) {
  std::vector<Change> changes;
  add_changes(item, {dialect}, &changes);
  std::vector<std::string> out;
  for (const Change& change : changes) {
    out.push_back(dialect.render(change.statement.text));
    EXPECT_EQ(std::ranges::count(std::string_view(change.statement.text), '?'),
              change.statement.values.size())
        << change.statement.text;
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Dialect, TidbHasExclusiveLocksOnly) {
  Dialect tidb(Dialect::Kind::mysql);
  tidb.speak_tidb();
  EXPECT_EQ(tidb.render("SELECT 1{lock}", Lock::share), "SELECT 1 FOR UPDATE");
  EXPECT_EQ(kMysql.render("SELECT 1{lock}", Lock::share), "SELECT 1 LOCK IN SHARE MODE");
  EXPECT_EQ(tidb.render("SELECT 1{lock}"), "SELECT 1");
  EXPECT_FALSE(tidb.render("{begin snapshot}").contains("READ ONLY"));
}

TEST(Dialect, AppendsToABlob) {
  const WriteItem item = AppendSlices{1, 2, std::string(24, 'x')};
  EXPECT_EQ(
      texts(item, kSqlite),
      Texts{"INSERT INTO jfs_chunk (inode,indx,slices) VALUES (?,?,?) ON CONFLICT (inode,indx) DO UPDATE SET "
            "slices=CAST(CAST(jfs_chunk.slices AS BLOB)||excluded.slices AS BLOB) RETURNING "
            "length(CAST(slices AS BLOB))"});
  EXPECT_EQ(texts(item, kPostgres),
            Texts{"INSERT INTO jfs_chunk (inode,indx,slices) VALUES ($1,$2,$3) ON CONFLICT (inode,indx) DO "
                  "UPDATE SET "
                  "slices=jfs_chunk.slices||excluded.slices RETURNING octet_length(slices)"});
  EXPECT_EQ(texts(item, kMysql),
            (Texts{"INSERT INTO jfs_vol_chunk (inode,indx,slices) VALUES (?,?,?) ON DUPLICATE KEY UPDATE "
                   "slices=CONCAT(jfs_vol_chunk.slices,VALUES(slices)) ",
                   "SELECT length(slices) FROM jfs_vol_chunk WHERE inode=? AND indx=?"}));
}

TEST(Dialect, CutsTheBeginningOfABlob) {
  const WriteItem item = ReplaceSlices{1, 2, std::string(24, 'x'), std::string(24, 'y')};
  EXPECT_EQ(texts(item, kPostgres),
            Texts{"UPDATE jfs_chunk SET slices=$1||substr(slices,$2::integer) WHERE inode=$3 AND indx=$4 AND "
                  "substr(slices,1,$5::integer)=$6"});
}

TEST(Dialect, LocksAndQuotes) {
  EXPECT_EQ(kPostgres.render("SELECT `group` FROM jfs_acl WHERE id=?{lock}", Lock::share),
            "SELECT \"group\" FROM jfs_acl WHERE id=$1 FOR SHARE");
  EXPECT_EQ(kMysql.render("SELECT `group` FROM jfs_acl WHERE id=?{lock}", Lock::share),
            "SELECT `group` FROM jfs_vol_acl WHERE id=? LOCK IN SHARE MODE");
  EXPECT_EQ(kSqlite.render("SELECT 1 FROM cider_op{lock}", Lock::update), "SELECT 1 FROM cider_op");
  EXPECT_EQ(kMysql.render("SELECT 1 FROM cider_op{lock}", Lock::update),
            "SELECT 1 FROM cider_vol_op FOR UPDATE");
}

TEST(Dialect, EveryPatchHasAsManyValuesAsPlaces) {
  for (const Dialect* dialect : {&kSqlite, &kPostgres, &kMysql}) {
    for (Fields set = 0; set <= field::all; set = set * 2 + 1) {
      for (int shape = 0; shape < 8; ++shape) {
        PatchNode patch{7, set};
        patch.nlink_delta = shape & 1;
        if (shape & 2) patch.touch = Time{1, 2};
        if (shape & 4) patch.touch_ctime = Time{1, 2};
        (void)texts(patch, *dialect);
      }
    }
  }
}

}  // namespace
}  // namespace cider::meta::sql
