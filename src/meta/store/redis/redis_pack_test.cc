// Packs on Redis: the bytes that JuiceFS finds, round trips, and commits whose answer is lost.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

using testing::FaultProxy;
using Fault = FaultProxy::Fault;

class RedisPackTest : public testing::RedisTest {
 protected:
  Pack pack_of(std::initializer_list<uint32_t> lengths) {
    Pack pack;
    uint32_t size = 0;
    const uint64_t id = a_->next_slice_id().value();
    for (uint32_t length : lengths) {
      const Ino ino = file("f" + std::to_string(files_++));
      pack.members.push_back({ino, 0, Slice{0, id, 0, size, length}, Time{1, 0}});
      size += length;
    }
    for (PackMember& member : pack.members) member.slice.size = size;
    return pack;
  }
  std::string count(const Pack& pack) {
    const Slice& slice = pack.members[0].slice;
    auto reply =
        direct_->run("HGET", "sliceRef", "k" + std::to_string(slice.id) + "_" + std::to_string(slice.size));
    return reply && !reply->is_nil() ? std::string(reply->text()) : "none";
  }
  static std::vector<int> codes(const Result<std::vector<Result<Written>>>& results) {
    std::vector<int> out;
    if (!results) return {code_of(results)};
    for (const auto& result : *results) out.push_back(code_of(result));
    return out;
  }

  int files_ = 0;
};

TEST_F(RedisPackTest, RecordsAndCountAreThoseOfTheFormat) {
  Pack pack = pack_of({0x300, 0x200, 0x100});
  ASSERT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(count(pack), "2") << "a count of n stands for n + 1 references";
  const auto records = direct_->run("LRANGE", "c" + std::to_string(pack.members[1].ino) + "_0", "0", "-1");
  ASSERT_EQ(records->size(), 1u);
  const std::string id = to_hex(ByteWriter().u64(pack.members[0].slice.id).take());
  EXPECT_EQ(to_hex((*records)[0].text()), "00000000" + id + "00000600" + "00000300" + "00000200");
  Pack alone = pack_of({512});
  ASSERT_EQ(codes(a_->commit_pack(&alone)), (std::vector<int>{0}));
  EXPECT_EQ(count(alone), "0") << "written, though none would stand for the same";
}

TEST_F(RedisPackTest, OneRoundTripForAllMembers) {
  a_->stop();
  a_ = client_of(proxy_.url(kDb), 0);
  Pack pack = pack_of({512, 512, 512, 512});
  const uint64_t before = proxy_.commands();
  ASSERT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, 0, 0, 0}));
  EXPECT_EQ(proxy_.commands() - before, 1u);
}

TEST_F(RedisPackTest, AReplyThatIsLostIsNoLostSuccess) {
  Pack pack = pack_of({512, 512});
  proxy_.strike(Fault::lose_reply);
  EXPECT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, 0}));
  EXPECT_EQ(count(pack), "1");
  EXPECT_EQ(b_->chunk(pack.members[0].ino, 0)->size(), 1u);
}

// The reply is lost, and the client gives up. The next try must not append again, whatever happened to the
// members since.
TEST_F(RedisPackTest, ACommitGivenUpIsMadeOnce) {
  Pack pack = pack_of({512, 512, 512, 512});
  ASSERT_EQ(unlink(*b_, "f3"), 0);
  ASSERT_EQ(code_of(a_->getattr(pack.members[3].ino)), ENOENT);
  proxy_.strike(Fault::lose_reply,
                [&] { ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", "sesame")); });
  EXPECT_EQ(code_of(a_->commit_pack(&pack)), EIO);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", ""));
  EXPECT_EQ(count(pack), "2") << "it was done, without the member that is gone";
  EXPECT_EQ(pack.tried, (std::vector<bool>{true, true, true, false}));

  // One is compacted away, one deleted, and the pack's count with them, as JuiceFS does it.
  const auto& members = pack.members;
  ASSERT_TRUE(b_->store().run(
      [&](Transaction& tx) -> Status {
        std::string records;
        append_slice(&records, members[0].slice);
        tx.write(ReplaceSlices{members[0].ino, 0, records, encode_slices({Slice{0, 0, 0, 0, kChunkSize}})});
        tx.write(AddSliceRef{members[0].slice.id, members[0].slice.size, -1});
        tx.write(PatchNode{members[0].ino});
        return {};
      },
      {}));
  ASSERT_EQ(unlink(*b_, "f1"), 0);
  EXPECT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, ENOENT, 0, ENOENT}));
  EXPECT_EQ(b_->chunk(members[0].ino, 0)->size(), 1u);
  EXPECT_EQ(b_->chunk(members[2].ino, 0)->size(), 1u);
}

TEST_F(RedisPackTest, ACopyThatComesLateChangesNothing) {
  Pack pack = pack_of({512, 512});
  proxy_.strike(Fault::hold_request);
  EXPECT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, 0}));
  proxy_.deliver_held();
  EXPECT_EQ(count(pack), "1");
  EXPECT_EQ(b_->chunk(pack.members[0].ino, 0)->size(), 1u);
}

// Given up before it ran: the server is told to refuse it, and the next try is the one that counts.
TEST_F(RedisPackTest, ACommitThatWasRefusedWhenGivenUpIsMadeAgain) {
  Pack pack = pack_of({512, 512});
  proxy_.strike(Fault::hold_request,
                [&] { ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", "sesame")); });
  EXPECT_EQ(code_of(a_->commit_pack(&pack)), EIO);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", ""));
  EXPECT_EQ(count(pack), "none");
  EXPECT_EQ(codes(a_->commit_pack(&pack)), (std::vector<int>{0, 0}));
  proxy_.deliver_held();
  EXPECT_EQ(count(pack), "1");
  EXPECT_EQ(b_->chunk(pack.members[0].ino, 0)->size(), 1u);
}

// A server that lost its latest writes does not know the number: it may be given to somebody else.
TEST_F(RedisPackTest, ANumberThatTheServerHasLostIsRefused) {
  Pack pack = pack_of({512, 512});
  ASSERT_TRUE(direct_->run("SET", "nextchunk", "1"));
  EXPECT_EQ(code_of(a_->commit_pack(&pack)), EEXIST);
  EXPECT_EQ(count(pack), "none");
  ASSERT_TRUE(direct_->run("SET", "nextchunk", "1"));
  pack.tried = {true, true};
  EXPECT_EQ(code_of(a_->commit_pack(&pack)), EEXIST) << "an earlier try that was not found is none";
}

}  // namespace
}  // namespace cider::meta
