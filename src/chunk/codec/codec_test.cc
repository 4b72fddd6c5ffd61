#include "chunk/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/fixtures.h"
#include "chunk/testing/harness.h"

namespace cider::chunk {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string packed(const Codec& codec, const std::string& plain) {
  std::string out(codec.bound(plain.size()), '\0');
  auto size = codec.compress(bytes_of(plain), std::as_writable_bytes(std::span(out)));
  EXPECT_TRUE(size);
  out.resize(size.value_or(0));
  return out;
}

// What comes out, or "error N".
std::string unpacked(const Codec& codec, const std::string& in, size_t length) {
  std::vector<std::byte> copy(bytes_of(in).begin(),
                              bytes_of(in).end());  // at its size, so that ASan sees all
  std::vector<std::byte> out(length);
  Status done = codec.decompress(copy, out);
  if (!done) return "error " + std::to_string(done.error().code);
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

const std::string kDamaged = "error " + std::to_string(EIO);

class CodecTest : public ::testing::TestWithParam<const char*> {
 protected:
  const Codec& codec_ = **find_codec(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Codecs, CodecTest, ::testing::Values("lz4", "zstd"),
                         [](const auto& codec) { return std::string(codec.param); });

TEST(FindCodec, ByTheNameInTheSetting) {
  EXPECT_EQ(find_codec("").value(), nullptr);
  EXPECT_EQ(find_codec("none").value(), nullptr);
  EXPECT_NE(find_codec("lz4").value(), find_codec("zstd").value());
  EXPECT_EQ(find_codec("LZ4").value(), find_codec("lz4").value());
  auto unknown = find_codec("gzip");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, EINVAL);
  EXPECT_NE(unknown.error().message.find("gzip"), std::string::npos);
}

TEST_P(CodecTest, GivesBackWhatWasCompressed) {
  for (size_t size : {1, 2, 12, 13, 100, 65536, 100001, 4 << 20}) {
    const std::string random = testing::pattern(size);
    EXPECT_TRUE(unpacked(codec_, packed(codec_, random), size) == random) << size;
    std::string text;
    while (text.size() < size) text += "line " + std::to_string(text.size()) + "\n";
    text.resize(size);
    const std::string small = packed(codec_, text);
    EXPECT_TRUE(unpacked(codec_, small, size) == text) << size;
    if (size >= 65536) {
      EXPECT_LT(small.size(), size / 2);
    }
  }
}

TEST_P(CodecTest, ManyThreadsAtOnce) {
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 12; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; i++) {
        const std::string block = testing::pattern(20000 + t, t);
        EXPECT_TRUE(unpacked(codec_, packed(codec_, block), block.size()) == block);
      }
    });
  }
}

TEST_P(CodecTest, AnotherLengthIsDamage) {
  const std::string text(5000, 'x');
  const std::string small = packed(codec_, text);
  EXPECT_EQ(unpacked(codec_, small, 4999), kDamaged);
  EXPECT_EQ(unpacked(codec_, small, 5001), kDamaged);
  EXPECT_EQ(unpacked(codec_, small, 1), kDamaged);
  EXPECT_EQ(unpacked(codec_, "", 5000), kDamaged);
}

TEST_P(CodecTest, TruncatedIsDamage) {
  const std::string whole = packed(codec_, testing::pattern(300) + std::string(300, 'x'));
  for (size_t n = 0; n < whole.size(); n++)
    EXPECT_EQ(unpacked(codec_, whole.substr(0, n), 600), kDamaged) << n;
}

// Neither format has a checksum, so some of these give other bytes; none may do worse.
TEST_P(CodecTest, NoBitFlippedDoesHarm) {
  std::string text;
  for (int i = 0; i < 200; i++) text += "word " + std::to_string(i * 7919 % 100) + " ";
  const std::string whole = packed(codec_, text);
  int refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; bit++) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const std::string out = unpacked(codec_, flipped, text.size());
    refused += out == kDamaged;
    EXPECT_TRUE(out == kDamaged || out.size() == text.size());
  }
  EXPECT_GT(refused, 0);
}

using Unpack = std::function<std::string(const std::string& object, unsigned size)>;

// All blocks of a fixture, sorted: which slice got which number differs from run to run.
std::vector<std::string> blocks_of(const fs::path& fixture, const Unpack& unpack) {
  std::vector<std::string> blocks;
  for (const auto& entry : fs::recursive_directory_iterator(fixture / "objects")) {
    unsigned id, index, size;
    if (std::sscanf(entry.path().filename().c_str(), "%u_%u_%u", &id, &index, &size) != 3) continue;
    blocks.push_back(unpack(cider::testing::read_file(entry.path()), size));
  }
  std::ranges::sort(blocks);
  return blocks;
}

// The fixtures hold the same files, small-hashprefix uncompressed.
class CodecGolden : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Codecs, CodecGolden, ::testing::Values("lz4", "zstd"),
                         [](const auto& codec) { return std::string(codec.param); });

TEST_P(CodecGolden, ObjectsOfJuiceFs) {
  CIDER_FIXTURE(fixture, std::string("small-") + GetParam());
  CIDER_FIXTURE(plain, "small-hashprefix");
  const Codec& codec = **find_codec(GetParam());
  const auto expected = blocks_of(plain, [](const std::string& object, unsigned) { return object; });
  EXPECT_EQ(expected.size(), 12u);
  const auto blocks = blocks_of(
      fixture, [&](const std::string& object, unsigned size) { return unpacked(codec, object, size); });
  EXPECT_TRUE(blocks == expected);
}

}  // namespace
}  // namespace cider::chunk
