// Keys and values that JuiceFS wrote, taken apart and put together again: the same bytes. And ours, for each
// write.
#include <gtest/gtest.h>

#include <set>

#include "meta/model/slices.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/records.h"
#include "meta/store/kv/testing/kv_testing.h"

namespace cider::meta::kv {
namespace {

using testing::Pairs;
using testing::write;

Ino ino_at(std::string_view key, size_t at) {
  return ByteReader(key.substr(at, 8), std::endian::little).u64();
}

// A key and its value, written anew from what we read of them; nullopt: of no kind that we know.
std::optional<Pair> rewritten_inode_part(const std::string& key, const std::string& value) {
  const Ino ino = ino_at(key, 1);
  switch (key[9]) {
    case 'I':
      return Pair{inode_key(ino), encode_attr(decode_attr(value).value())};
    case 'D':
      return Pair{entry_key(ino, name_in(key)), encode_entry(decode_entry(value).value())};
    case 'P':
      return Pair{parent_key(ino, parse_parent_key(key).value()),
                  encode_counter(decode_counter(value).value())};
    case 'C': {
      const ChunkKey chunk = parse_chunk_key(key).value();
      return Pair{chunk_key(chunk.ino, chunk.index), encode_slices(decode_slices(value).value())};
    }
    case 'S':
      return Pair{symlink_key(ino), value};
    case 'X':
      return Pair{xattr_key(ino, name_in(key)), value};
    default:
      return std::nullopt;
  }
}

std::optional<Pair> rewritten(const std::string& key, const std::string& value) {
  if (key == kSetting) return Pair{key, value};
  switch (key[0]) {
    case 'A':
      return rewritten_inode_part(key, value);
    case 'C':
      return Pair{counter_key(key.substr(1)), encode_counter(decode_counter(value).value())};
    case 'F':
      return Pair{flocks_key(parse_lock_key(key).value()), encode_flocks(decode_flocks(value).value())};
    case 'P':
      return Pair{plocks_key(parse_lock_key(key).value()), encode_plocks(decode_plocks(value).value())};
    case 'K': {
      const SliceKey slice = parse_slice_ref_key(key).value();
      return Pair{slice_ref_key(slice.id, slice.size), encode_counter(decode_counter(value).value())};
    }
    case 'L': {
      const DelayedRow row = parse_delayed_key(key).value();
      return Pair{delayed_key(row.deleted, row.id),
                  encode_delayed_slices(decode_delayed_slices(value).value())};
    }
    case 'U':
      return Pair{dir_stat_key(ino_at(key, 1)), encode_dir_stat(decode_dir_stat(value).value())};
    case 'R':
      return Pair{acl_key(ByteReader(key.substr(1)).u32()), encode_acl(decode_acl(value).value())};
    default:
      break;
  }
  if (key.starts_with("SE"))
    return Pair{session_key(parse_session_key(key).value()), encode_number(decode_number(value).value())};
  if (key.starts_with("SI")) return Pair{session_info_key(ByteReader(key.substr(2)).u64()), value};
  if (key.starts_with("SS")) {
    const SustainedKey sustained = parse_sustained_key(key).value();
    return Pair{sustained_key(sustained.sid, sustained.ino), "\x01"};
  }
  if (key.starts_with("QD")) return Pair{dir_quota_key(ino_at(key, 2)), value};
  if (key.starts_with("QU") || key.starts_with("QG")) return Pair{key, value};  // never written by us
  return std::nullopt;
}

class Golden : public ::testing::TestWithParam<const char*> {};

TEST_P(Golden, every_pair_is_written_as_juicefs_does) {
  CIDER_FIXTURE(dir, GetParam());
  const Pairs pairs = testing::load_pairs(dir);
  ASSERT_EQ(pairs.size(), 657U);
  std::set<std::string> kinds;
  for (const auto& [key, value] : pairs) {
    SCOPED_TRACE(to_hex(key));
    const auto again = rewritten(key, value);
    ASSERT_TRUE(again);
    EXPECT_EQ(to_hex(again->key), to_hex(key));
    kinds.insert(key[0] == 'A' ? std::string("A") + key[9] : key.substr(0, 1));
    // JuiceFS keeps holders in a map and writes them in any order.
    if (key[0] != 'F' && key[0] != 'P') {
      EXPECT_EQ(to_hex(again->value), to_hex(value));
    } else {
      EXPECT_EQ(again->value.size(), value.size());
    }
  }
  EXPECT_EQ(kinds.size(), 16U);
}

INSTANTIATE_TEST_SUITE_P(Volumes, Golden, ::testing::Values("main-badger", "main-etcd"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

// --- ours

class Written : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.create_volume("{}", testing::directory_attr(), {}));
    before_ = testing::all_pairs(*database_);
  }
  // What writes made of the database, as "KEY=VALUE" and "KEY gone" in hex.
  template <class... Items>
  std::vector<std::string> made(const Items&... items) {
    const Status done = write(store_, items...);
    EXPECT_TRUE(done) << done.error().to_string();
    EXPECT_TRUE(store_.sync());
    const Pairs after = testing::all_pairs(*database_);
    std::vector<std::string> out;
    for (const auto& [key, value] : after) {
      auto old = before_.find(key);
      if (old == before_.end() || old->second != value) out.push_back(shown(key) + "=" + to_hex(value));
    }
    for (const auto& [key, value] : before_) {
      if (!after.contains(key)) out.push_back(shown(key) + " gone");
    }
    before_ = after;
    return out;
  }

  // Without the random name of the client.
  static std::string shown(std::string_view key) {
    const auto tally = parse_tally_key(key);
    return tally ? to_hex(kTallies) + "CLIENT" + to_hex(key.substr(key.size() - 1)) : to_hex(key);
  }

  using Lines = std::vector<std::string>;
  std::shared_ptr<MemDatabase> database_ = std::make_shared<MemDatabase>();
  KvStore store_{database_};
  Pairs before_;
};

const std::string kIno =
    "4102010000000000"
    "00";  // A, inode 0x102

TEST_F(Written, a_new_volume) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : before_) lines.push_back(to_hex(key) + "=" + to_hex(value));
  const std::string time = "000000006553f100075bcd15";
  EXPECT_EQ(lines, (Lines{"41010000000000000049=0021ed0000000000000000" + time + time + time +
                              "0000000200000000000010000000000000000000000000"
                              "0100",
                          "436e6578744368756e6b=0100000000000000", "436e657874496e6f6465=0200000000000000",
                          "550100000000000000=" + std::string(48, '0'), "73657474696e67=7b7d"}));
}

TEST_F(Written, inodes) {
  Attr attr;
  attr.type = FileType::file;
  attr.mode = 0644;
  attr.nlink = 1;
  attr.parent = 1;
  const std::string zero_times(72, '0');
  EXPECT_EQ(made(InsertNode{0x102, attr}), Lines{kIno + "49=0011a40000000000000000" + zero_times +
                                                 "00000001000000000000000000000000" + "000000000000000100"});
  Attr values;
  values.access_acl = 3;
  values.tier = 2;
  EXPECT_EQ(
      made(PatchNode{.ino = 0x102, .set = field::acl | field::tier, .values = values, .nlink_delta = 1}),
      Lines{kIno + "49=0011a40000000000000000" + zero_times + "00000002000000000000000000000000" +
            "0000000000000001"
            "0000000300000000"
            "02"
            "00"});
  EXPECT_EQ(made(SetSymlink{0x102, "ab"}), Lines{kIno + "53=6162"});
  EXPECT_EQ(made(SetXattr{0x102, "u", ""}), Lines{kIno + "5875="});
  EXPECT_EQ(made(AddParent{0x102, 0x205, 2}), Lines{kIno + "500502000000000000=0200000000000000"});
  EXPECT_EQ(made(AddParent{0x102, 0x205, -2}), Lines{kIno + "500502000000000000 gone"});
  EXPECT_EQ(made(SetXattr{0x102, "u", "v"}, RemoveXattr{0x102, "u"}), Lines{kIno + "5875 gone"});
  EXPECT_EQ(made(AddParent{0x102, 1, 1}), Lines{kIno + "500100000000000000=0100000000000000"});
  EXPECT_EQ(made(DeleteNode{0x102}),
            (Lines{kIno + "49 gone", kIno + "500100000000000000 gone", kIno + "53 gone"}));
}

TEST_F(Written, entries) {
  const Entry file{0x102, FileType::file};
  const Entry dir{0x203, FileType::directory};
  EXPECT_EQ(made(InsertEntry{1, "a", file}), Lines{"4101000000000000004461=010000000000000102"});
  EXPECT_EQ(made(ReplaceEntry{1, "a", file, dir}), Lines{"4101000000000000004461=020000000000000203"});
  EXPECT_EQ(made(DeleteEntry{1, "a", dir}), Lines{"4101000000000000004461 gone"});
}

TEST_F(Written, chunks_and_slices) {
  const std::string one = encode_slices({Slice{1, 2, 3, 0, 3}});
  const std::string chunk = kIno + "4300000007";
  const std::string record =
      "0000000100000000000000020000000300000000"
      "00000003";
  uint32_t count = 0;
  EXPECT_EQ(made(AppendSlices{0x102, 7, one, &count}), Lines{chunk + "=" + record});
  EXPECT_EQ(made(AppendSlices{0x102, 7, one, &count}), Lines{chunk + "=" + record + record});
  EXPECT_EQ(count, 2U);
  const std::string hole =
      "000000000000000000000000"
      "00000000"
      "00000000"
      "04000000";
  EXPECT_EQ(made(HoleOverChunks{0x102, 0, 9}), Lines{chunk + "=" + record + record + hole});
  EXPECT_EQ(made(ReplaceSlices{0x102, 7, one + one, {}}), Lines{chunk + "=" + hole});
  EXPECT_EQ(made(DeleteChunk{0x102, 7}), Lines{chunk + " gone"});
  const std::string ref = "4b000000000000000900000010";
  EXPECT_EQ(made(InsertSliceRef{9, 16, 1}), Lines{}) << "one reference needs no count";
  EXPECT_EQ(made(InsertSliceRef{9, 16, 1, true}), Lines{ref + "=0000000000000000"});
  EXPECT_EQ(made(AddSliceRef{9, 16, 2}), Lines{ref + "=0200000000000000"});
  EXPECT_EQ(made(AddSliceRef{9, 16, -3}), Lines{ref + "=ffffffffffffffff"});
  EXPECT_EQ(made(DeleteSliceRef{9, 16}), Lines{ref + " gone"});
  EXPECT_EQ(made(PutDelayedSlices{9, 0x5000, encode_delayed_slices({{2, 3}})}),
            Lines{"4c00000000000050000000000000000009=000000000000000200000003"});
  EXPECT_EQ(made(DeleteDelayedSlices{9, 0x5000}), Lines{"4c00000000000050000000000000000009 gone"});
}

TEST_F(Written, sessions_and_locks) {
  ASSERT_TRUE(store_.put_session({5, 0x6000, "{}"}));
  EXPECT_EQ(made(PutSustained{5, 0x102}),
            (Lines{"53450000000000000005=0000000000006000", "53490000000000000005=7b7d",
                   "5353000000000000000502010000000000"
                   "00=01",
                   "54CLIENT43=0000000000000005" + std::string(48, '0')}));
  EXPECT_EQ(made(PutFlock{0x102, {{5, 6}, LockKind::write}}),
            Lines{"460201000000000000=0000000000000005000000000000000657"});
  EXPECT_EQ(made(PutPlock{0x102, {{5, 6}, {{LockKind::write, 7, 8, 9}}}}),
            Lines{"500201000000000000=0000000000000005000000000000000600000018"
                  "0000000100000007"
                  "00000000000000080000000000000009"});
  EXPECT_EQ(made(PutLockWait{{{5, 7}, 0x102, {LockKind::read, 7, 8, 9}}}),
            Lines{"5700000000000000050000000000000007=0000000000000102"
                  "0000000000000007"
                  "00000000000000080000000000000009"});
  EXPECT_EQ(made(DeleteSession{5}), (Lines{"460201000000000000 gone", "500201000000000000 gone",
                                           "53450000000000000005 gone", "53490000000000000005 gone",
                                           "5353000000000000000502010000000000"
                                           "00 gone",
                                           "5700000000000000050000000000000007 gone"}));
}

TEST_F(Written, deleted_files_usage_and_statistics) {
  const std::string file =
      "44020100000000000000000000"
      "00001000";
  EXPECT_EQ(made(PutDeletedFile{0x102, 0x1000, 0x6000}), Lines{file + "=0000000000006000"});
  EXPECT_EQ(made(DeleteDeletedFile{0x102, 0x1000}), Lines{file + " gone"});
  EXPECT_EQ(made(AddUsage{0x1000, 1}), (Lines{"43746f74616c496e6f646573=0100000000000000",
                                              "4375736564537061"
                                              "6365=0010000000000000",
                                              "54CLIENT43=0000000000000000"
                                              "000000000000100000000000000000010000000000000000",
                                              "54CLIENT54=0000000000001000"
                                              "0000000000000001"}));
  EXPECT_EQ(made(CreateDirStat{0x102}), Lines{"550201000000000000=" + std::string(48, '0')});
  EXPECT_EQ(made(AddDirStat{0x102, {1, 0x1000, 1}}, AddDirStat{0x103, {1, 1, 1}}),
            Lines{"550201000000000000=000000000000000100000000000010000000000000000001"})
      << "directories without a row get none";
  EXPECT_EQ(made(DeleteDirStat{0x102}), Lines{"550201000000000000 gone"});
  EXPECT_EQ(store_.set_if_small(Counter::last_cleanup_trash, 0x6000, 10), true);
  EXPECT_EQ(store_.set_if_small(Counter::last_cleanup_trash, 0x6000, 0), true) << "the first of equal values";
  EXPECT_EQ(store_.set_if_small(Counter::last_cleanup_trash, 0x6000, 1), false);
  EXPECT_EQ(made(), Lines{"436c617374436c65616e75705472617368=0000000000006000"});
  EXPECT_EQ(store_.counter(Counter::last_cleanup_trash), 0x6000);
  EXPECT_EQ(store_.add_counter(Counter::next_session, 1), 1);
  EXPECT_EQ(made(), Lines{"436e65787453657373696f6e=0100000000000000"});
}

TEST_F(Written, acl_rules) {
  AclRule rule;
  rule.owner = 6;
  EXPECT_EQ(store_.intern_acl(rule), 1U);
  EXPECT_EQ(made(),
            (Lines{"4361636c4d61784964=0100000000000000", "5200000001=0006ffffffffffff0000000000000000"}));
  EXPECT_EQ(store_.acl(1).value(), rule);
}

}  // namespace
}  // namespace cider::meta::kv
