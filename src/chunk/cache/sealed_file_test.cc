#include "chunk/cache/sealed_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>

#include "base/bytes.h"
#include "base/testing/fixtures.h"
#include "chunk/cache/block_file.h"
#include "chunk/testing/forms.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using cider::testing::read_file;
using testing::pattern;
using testing::TempDir;
using testing::test_key;

constexpr std::string_view kName = "chunks/0/0/7_0_5";

// In pieces whose ends are not those of units, some of them empty.
BufferChain chain_of(std::string_view text) {
  BufferChain chain;
  for (size_t at = 0; at < text.size() || chain.empty(); at += 50'001) {
    const std::string_view part = text.substr(at, 50'001);
    Buffer piece = Buffer::allocate(part.size(), nullptr);
    std::memcpy(piece.mutable_data(), part.data(), part.size());
    chain.push_back(piece);
    chain.push_back(piece.slice(0, 0));
  }
  return chain;
}

std::string write(const TempDir& dir, std::string_view text) {
  const std::string path = dir.path() / "file";
  std::filesystem::remove(path);
  EXPECT_TRUE(write_sealed_file(path.c_str(), chain_of(text), *test_key(), kName, {.durable = true}));
  return path;
}

Result<std::string> read(BlockFile& file, uint32_t off, size_t size) {
  // Of the very size, so that a sanitizer sees a byte too many. A string has one more.
  const auto out = std::make_unique<char[]>(size);
  TRY(file.read(off, std::as_writable_bytes(std::span(out.get(), size)), Verify::none));
  return std::string(out.get(), size);
}

TEST(SealedFile, AnyRange) {
  TempDir dir;
  for (uint32_t bytes : {1u, 32767u, 32768u, 32769u, 100'000u, (4u << 20) + 70'000}) {
    const std::string data = pattern(bytes);
    const std::string path = write(dir, data);
    EXPECT_EQ(std::filesystem::file_size(path), sealed_file_size(bytes));
    auto file = BlockFile::open_sealed(path.c_str(), bytes, *test_key(), kName);
    ASSERT_TRUE(file);
    for (uint32_t off : {0u, 1u, 32767u, 32768u, 40'000u, 65536u, 98'304u, 99'999u, (4u << 20) - 1}) {
      for (uint32_t size : {0u, 1u, 100u, 32768u, 32769u, 70'000u, 4u << 20, bytes}) {
        if (off >= bytes) continue;
        size = std::min(size, bytes - off);
        EXPECT_TRUE(read(*file, off, size).value() == data.substr(off, size))
            << bytes << " " << off << " " << size;
      }
    }
    EXPECT_EQ(code_of(read(*file, bytes, 1)), EINVAL);
  }
}

// Each byte of a file belongs to all reads (the header) or to those of one unit.
TEST(SealedFile, DamageIsSeenWhereItIsRead) {
  TempDir dir;
  const uint32_t bytes = 100'000;
  struct Case {
    size_t altered;
    uint32_t off, size;
    bool seen;
  };
  const Case cases[] = {
      {0, 0, 1, true},
      {20, 99'999, 1, true},
      {sealed_unit_offset(0), 32'767, 1, true},
      {sealed_unit_offset(1) - 1, 0, 1, true},
      {sealed_unit_offset(1) - 1, 32'768, 60'000, false},
      {sealed_unit_offset(1), 0, 32'768, false},
      {sealed_unit_offset(1), 0, 32'769, true},
      {sealed_unit_offset(2) + 5, 40'000, 59'000, true},
      {sealed_file_size(bytes) - 1, 0, 98'304, false},
      {sealed_file_size(bytes) - 1, 99'999, 1, true},
  };
  for (const Case& one : cases) {
    const std::string path = write(dir, pattern(bytes));
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(one.altered));
    const char byte = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(one.altered));
    file.put(static_cast<char>(byte ^ 16));
    file.close();
    auto opened = BlockFile::open_sealed(path.c_str(), bytes, *test_key(), kName);
    const int code = opened ? code_of(read(*opened, one.off, one.size)) : opened.error().code;
    EXPECT_EQ(code, one.seen ? EBADMSG : 0) << one.altered << " " << one.off << " " << one.size;
  }
}

TEST(SealedFile, NothingPassesForAnother) {
  TempDir dir;
  const std::string path = write(dir, pattern(5));
  const auto code = [&](uint32_t bytes, const AeadKey& key, std::string_view name) {
    auto file = BlockFile::open_sealed(path.c_str(), bytes, key, name);
    return file ? code_of(read(*file, 0, 1)) : file.error().code;
  };
  EXPECT_EQ(code(5, *test_key(), kName), 0);
  EXPECT_EQ(code(5, *test_key(), "chunks/0/0/8_0_5"), EBADMSG);
  EXPECT_EQ(code(5, *AeadKey::random(), kName), EBADMSG);
  EXPECT_EQ(code(4, *test_key(), kName), EBADMSG);
  EXPECT_EQ(code(6, *test_key(), kName), EBADMSG);
  std::filesystem::remove(path);
  EXPECT_EQ(code(5, *test_key(), kName), ENOENT);
}

TEST(SealedFile, AFileThatIsThereStays) {
  TempDir dir;
  const std::string path = write(dir, "one");
  const std::string before = read_file(path);
  EXPECT_EQ(code_of(write_sealed_file(path.c_str(), chain_of("two"), *test_key(), kName, {})), EEXIST);
  EXPECT_EQ(read_file(path), before);
}

// A file of block 7_0_5, made with another implementation of HKDF and AES-GCM.
TEST(SealedFile, Golden) {
  TempDir dir;
  const std::string path = dir.path() / "file";
  std::ofstream(path, std::ios::binary) << from_hex(
                                               "4369646572535531"                                  // CiderSU1
                                               "6162636465666768696a6b6c6d6e6f707172737475767778"  // salt
                                               "c0877a1eee"                                        // hello
                                               "d3759e431c34d879b2c0e9c17dfe1052")
                                               .value();  // tag
  auto file = BlockFile::open_sealed(path.c_str(), 5, *test_key(), kName);
  ASSERT_TRUE(file);
  EXPECT_EQ(read(*file, 0, 5).value(), "hello");
  EXPECT_EQ(read(*file, 1, 3).value(), "ell");
  // What is written differs by the salt alone.
  const std::string written = read_file(write(dir, "hello"));
  EXPECT_EQ(written.size(), 53u);
  EXPECT_EQ(written.substr(0, 8), "CiderSU1");
}

}  // namespace
}  // namespace cider::chunk
