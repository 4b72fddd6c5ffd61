// What a commit writes: all of it or nothing, once, and so little at a time that others are served too.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "meta/store/redis/keys.h"
#include "meta/store/redis/transactions.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

using Fault = testing::FaultProxy::Fault;

// Arguments of one command: a commit of some hundred records, and far less than a long list has.
constexpr uint64_t kModest = 8000;

class RedisCommitTest : public testing::RedisTest {
 protected:
  static Slice new_slice(Meta& meta, uint32_t pos = 0) {
    return {pos, meta.next_slice_id().value(), 512, 0, 512};
  }
  // So many records in each of so many chunks, of which every second one is there.
  void write_many(Ino ino, size_t chunks, size_t records_of_each) {
    std::vector<ChunkSlice> slices;
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      for (size_t i = 0; i < records_of_each; ++i) {
        slices.push_back({static_cast<uint32_t>(2 * chunk), new_slice(*b_, static_cast<uint32_t>(i * 512))});
        if (slices.size() < 1000 && (chunk + 1 < chunks || i + 1 < records_of_each)) continue;
        ASSERT_TRUE(b_->write(ino, slices, Time{1, 0}));
        slices.clear();
      }
    }
  }
  size_t chunks_of(Ino ino) { return direct_->run("KEYS", "c" + std::to_string(ino) + "_*")->size(); }
  std::string text(std::string_view key) { return std::string(direct_->run("GET", key)->text()); }
};

// Others have appended so much since that the chunk's latest records tell nothing.
TEST_F(RedisCommitTest, ACommitThatWasGivenUpIsNotMadeAgain) {
  Ino ino = file("f");
  const Slice slice = new_slice(*a_);
  std::stop_source interrupt;
  proxy_.strike(Fault::lose_reply, [&] {
    proxy_.go_away(true);
    interrupt.request_stop();
  });
  Status done = a_->store().run(
      [&](Transaction& tx) -> Status {
        std::string record;
        append_slice(&record, slice);
        tx.write(AppendSlices{ino, 0, record, nullptr});
        tx.write(InsertSliceRef{slice.id, slice.size, 1});
        PatchNode patch{ino};
        patch.set = field::length;
        patch.values.length = 512;
        tx.write(std::move(patch));
        tx.write(AddDirStat{kRootIno, {512, 0, 0}});
        return {};
      },
      interrupt.get_token());
  EXPECT_EQ(code_of(done), EINTR);
  proxy_.go_away(false);
  for (uint32_t i = 0; i < 40; ++i) {
    ChunkSlice other{0, new_slice(*b_)};
    ASSERT_TRUE(b_->write(ino, std::span(&other, 1), Time{1, 0}));
  }
  ChunkSlice again{0, slice};
  for (int i = 0; i < 2; ++i) {
    auto written = a_->write(ino, std::span(&again, 1), Time{1, 0});
    ASSERT_TRUE(written) << written.error().to_string();
    EXPECT_EQ(written->attr.length, 512u);
  }
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 41u);
  EXPECT_EQ(b_->chunk(ino, 0)->front(), slice);
}

TEST_F(RedisCommitTest, ACommitThatWasRefusedWhenGivenUpIsMadeAgain) {
  Ino ino = file("f");
  ChunkSlice slice{0, new_slice(*a_)};
  std::stop_source interrupt;
  proxy_.strike(Fault::hold_request, [&] {
    proxy_.go_away(true);
    interrupt.request_stop();
  });
  Status done = a_->store().run(
      [&](Transaction& tx) -> Status {
        tx.write(PatchNode{ino});
        tx.write(InsertSliceRef{slice.slice.id, slice.slice.size, 1});
        return {};
      },
      interrupt.get_token());
  EXPECT_EQ(code_of(done), EINTR);
  proxy_.go_away(false);
  EXPECT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0}));
  proxy_.deliver_held();
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u);
}

TEST_F(RedisCommitTest, DecidedAttemptsAreForgottenInTheEnd) {
  redis::Client client(redis::parse_redis_url(server_.url(kDb)).value());
  redis::Transactions transactions(client);
  auto before = direct_->run("KEYS", "opid:*");
  uint16_t mode = 0700;
  ASSERT_TRUE(transactions.run(
      [&](Transaction& tx) -> Status {
        tx.attr(kRootIno, field::mode);
        TRY(tx.fetch());
        if (mode < 0703) TRY(b_->setattr(Caller{}, kRootIno, {.mode = mode++}));  // a conflict
        tx.write(PatchNode{kRootIno});
        return {};
      },
      {}));
  EXPECT_GT(transactions.conflicts(), 0u);
  auto after = direct_->run("KEYS", "opid:*");
  EXPECT_GT(after->size(), before->size());
  for (size_t i = 0; i < after->size(); ++i) EXPECT_GT(direct_->run("TTL", (*after)[i].text())->integer(), 0);
  ASSERT_TRUE(b_->setattr(Caller{}, kRootIno, {.mode = uint16_t{0777}}));
}

TEST_F(RedisCommitTest, RecordsOfOldReleasesGetRoomForTheirParent) {
  Ino ino = file("old");
  const std::string key = redis::inode_key(ino);
  const std::string whole = text(key);
  for (size_t length : {63u, 64u}) {
    ASSERT_TRUE(direct_->run("SET", key, whole.substr(0, 63) + std::string(length - 63, 0)));
    ASSERT_TRUE(a_->store().run(
        [&](Transaction& tx) -> Status {
          PatchNode patch{ino};
          patch.set = field::acl | field::tier;
          patch.values.access_acl = 7;
          patch.values.default_acl = 8;
          patch.values.tier = 2;
          tx.write(std::move(patch));
          return {};
        },
        {}));
    Attr want = decode_attr(whole).value();
    want.parent = 0;
    want.access_acl = 7;
    want.default_acl = 8;
    want.tier = 2;
    EXPECT_EQ(to_hex(text(key)), to_hex(encode_attr(want)));
  }
  ASSERT_TRUE(direct_->run("SET", key, whole));
}

TEST_F(RedisCommitTest, WhatCannotBeWrittenLeavesNothingBehind) {
  Ino in = file("in"), out = file("out");
  write_many(in, 1, 1);
  const std::string space = text(redis::kUsedSpace);
  const std::string foreign = redis::chunk_key(out, 0);
  ASSERT_TRUE(direct_->run("SET", foreign, "no list"));
  EXPECT_FALSE(a_->copy_range(Caller{}, in, 0, out, 8192, 512));
  ASSERT_TRUE(direct_->run("DEL", foreign));
  EXPECT_EQ(text(redis::kUsedSpace), space);
  EXPECT_EQ(direct_->run("HLEN", redis::kSliceRefs)->integer(), 0);

  ASSERT_TRUE(direct_->run("SET", redis::kUsedSpace, "no number"));
  EXPECT_FALSE(a_->copy_range(Caller{}, in, 0, out, 8192, 512));
  ASSERT_TRUE(direct_->run("SET", redis::kUsedSpace, space));
  EXPECT_EQ(chunks_of(out), 0u);
  EXPECT_EQ(direct_->run("HLEN", redis::kSliceRefs)->integer(), 0);
  EXPECT_EQ(b_->getattr(out)->length, 0u);
}

TEST_F(RedisCommitTest, LongListsAreDeletedByPortions) {
  Ino ino = file("f");
  write_many(ino, 3, 2000);
  ASSERT_EQ(unlink(*a_, "f"), 0);
  a_->stop();
  EXPECT_EQ(chunks_of(ino), 0u);
  EXPECT_EQ(direct_->run("ZCARD", redis::kDeletedFiles)->integer(), 0);
  EXPECT_EQ(direct_->run("HLEN", redis::kSliceRefs)->integer(), 0);
  EXPECT_LT(proxy_.most_arguments(), kModest);
}

TEST_F(RedisCommitTest, FilesOfManyChunksAreCutByParts) {
  Ino ino = file("f");
  constexpr size_t kChunks = 5000;
  write_many(ino, kChunks, 1);
  auto holes = [&] {
    size_t n = 0;
    for (uint32_t i = 0; i < kChunks; ++i) n += b_->chunk(ino, 2 * i)->back().id == 0;
    return n;
  };
  ASSERT_TRUE(a_->fallocate(Caller{}, ino, 0x3, 4 * kChunkSize, 9000 * kChunkSize));  // punch, keep the size
  EXPECT_EQ(holes(), 4500u);
  auto cut = a_->truncate(Caller{}, ino, 512, true, false);
  ASSERT_TRUE(cut) << cut.error().to_string();
  EXPECT_EQ(cut->length, 512u);
  ASSERT_TRUE(a_->truncate(Caller{}, ino, 2 * kChunks * kChunkSize, true, false));
  EXPECT_EQ(holes(), kChunks);
  EXPECT_LT(proxy_.most_arguments(), kModest);
}

TEST(RedisCommands, NothingIsNeverSent) {
  EXPECT_DEBUG_DEATH((void)redis::Commands().bytes(), "count_");
}

}  // namespace
}  // namespace cider::meta
