#include "base/direct_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

namespace cider {
namespace {

// A chain of `size` random bytes in pieces of at most `piece`, the first of which begins `skew` bytes behind
// a page.
BufferChain make_chain(size_t size, size_t piece, size_t skew, std::mt19937& random) {
  BufferChain chain;
  while (size > 0) {
    size_t n = std::min(size, piece);
    Buffer whole = Buffer::allocate(n + skew, nullptr);
    for (size_t i = 0; i < n + skew; ++i) whole.mutable_data()[i] = static_cast<std::byte>(random());
    chain.push_back(whole.slice(skew, n));
    size -= n;
  }
  return chain;
}

std::string flatten(const BufferChain& chain) {
  std::string out;
  for (const Buffer& piece : chain) out += piece.text();
  return out;
}

class DirectIo : public ::testing::TestWithParam<std::tuple<size_t, size_t, size_t>> {};

TEST_P(DirectIo, ReadsBackWhatItWrote) {
  auto [size, piece, skew] = GetParam();
  std::mt19937 random(7);
  std::string path =
      std::filesystem::temp_directory_path() /
      ("cider-direct-" + std::to_string(getpid()) + "-" + std::to_string(size) + "-" + std::to_string(skew));
  BufferChain chain = make_chain(size, piece, skew, random);
  {
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_TRUE(static_cast<bool>(file));
    ASSERT_TRUE(write_large(file, chain, path).has_value());
  }
  EXPECT_EQ(std::filesystem::file_size(path), size);
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  for (uint64_t offset : {uint64_t{0}, uint64_t{4096}, uint64_t{777}}) {
    Buffer out = Buffer::allocate(size + 10'000, nullptr);
    auto n = read_large(file, offset, {out.mutable_data(), out.size()});
    ASSERT_TRUE(n.has_value());
    ASSERT_EQ(*n, size - std::min<size_t>(size, offset));
    EXPECT_EQ(std::string(out.text().substr(0, *n)), flatten(chain).substr(std::min<size_t>(size, offset)));
  }
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, DirectIo,
    ::testing::Values(std::tuple{0, 4096, 0}, std::tuple{100, 4096, 0}, std::tuple{4 << 20, 1 << 20, 0},
                      std::tuple{(4 << 20) + 5, 1 << 20, 0}, std::tuple{3 << 20, 1 << 20, 80},
                      std::tuple{(2 << 20) - 1, 65536, 0}, std::tuple{2 << 20, 5000, 0}));

}  // namespace
}  // namespace cider
