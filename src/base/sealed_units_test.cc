#include "base/sealed_units.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace cider {
namespace {

using Bytes = std::vector<std::byte>;

Bytes pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<std::byte>(i * 31 ^ i >> 8);
  return bytes;
}

// A file as a cache would write it.
Bytes seal_file(const AeadKey& folder, std::string_view name, const Bytes& plain) {
  Bytes file(sealed_file_size(plain.size()));
  auto units = SealedUnits::create(folder, name, std::span(file).first<kSealedHeader>());
  EXPECT_TRUE(units);
  for (size_t n = 0; n * kSealedUnit < plain.size(); n++) {
    const size_t length = std::min(kSealedUnit, plain.size() - n * kSealedUnit);
    const std::span<const std::byte> unit = std::span(plain).subspan(n * kSealedUnit, length);
    const std::span<const std::byte> pieces[] = {unit.first(length / 3), unit.subspan(length / 3)};
    EXPECT_TRUE(units->seal(static_cast<uint32_t>(n), pieces,
                            std::span(file).subspan(sealed_unit_offset(n), length + kAeadTag)));
  }
  return file;
}

// Unit `n` of a file of `size` plain bytes.
Result<Bytes> open_unit(const AeadKey& folder, std::string_view name, const Bytes& file, size_t size,
                        size_t n) {
  auto units = TRY(SealedUnits::open(folder, name, std::span(file).first<kSealedHeader>()));
  Bytes out(std::min(kSealedUnit, size - n * kSealedUnit));
  TRY(units.open_unit(static_cast<uint32_t>(n),
                      std::span(file).subspan(sealed_unit_offset(n), out.size() + kAeadTag), out));
  return out;
}

TEST(SealedUnits, SizesOfFiles) {
  EXPECT_EQ(sealed_file_size(0), 32u);
  EXPECT_EQ(sealed_file_size(1), 49u);
  EXPECT_EQ(sealed_file_size(kSealedUnit), 32 + 32768 + 16u);
  EXPECT_EQ(sealed_file_size(kSealedUnit + 1), 32 + 32769 + 32u);
  EXPECT_EQ(sealed_unit_offset(2), 32 + 2 * 32784u);
}

TEST(SealedUnits, EachUnitIsReadAlone) {
  const AeadKey folder = *AeadKey::random();
  for (size_t size : {size_t{1}, kSealedUnit - 1, kSealedUnit, kSealedUnit + 1, 3 * kSealedUnit + 5}) {
    const Bytes plain = pattern(size);
    const Bytes file = seal_file(folder, "chunks/0/0/1_0_1", plain);
    for (size_t n = 0; n * kSealedUnit < size; n++) {
      const auto first = plain.begin() + static_cast<ptrdiff_t>(n * kSealedUnit);
      const auto last = plain.begin() + static_cast<ptrdiff_t>(std::min(size, (n + 1) * kSealedUnit));
      EXPECT_TRUE(open_unit(folder, "chunks/0/0/1_0_1", file, size, n).value() == Bytes(first, last))
          << size << " " << n;
    }
  }
}

// As a reader does that scatters a file into its caller's memory.
TEST(SealedUnits, TheTagMayLieApart) {
  const AeadKey folder = *AeadKey::random();
  const Bytes plain = pattern(1000);
  const Bytes file = seal_file(folder, "a", plain);
  auto units = SealedUnits::open(folder, "a", std::span(file).first<kSealedHeader>());
  ASSERT_TRUE(units);
  Bytes memory(file.begin() + kSealedHeader, file.end() - kAeadTag);
  Bytes tag(file.end() - kAeadTag, file.end());
  ASSERT_TRUE(units->open_unit(0, memory, std::span(tag).first<kAeadTag>(), memory));
  EXPECT_TRUE(memory == plain);
  std::copy(file.begin() + kSealedHeader, file.end() - kAeadTag, memory.begin());
  tag[0] ^= std::byte{1};
  EXPECT_EQ(code_of(units->open_unit(0, memory, std::span(tag).first<kAeadTag>(), memory)), EBADMSG);
}

// Made with another implementation: HKDF by hand of HMAC, AES-GCM of a Python library.
TEST(SealedUnits, Golden) {
  AeadKey folder;
  for (size_t i = 0; i < kAeadKey; i++) folder.bytes()[i] = static_cast<std::byte>(i);
  std::string header = "CiderSU1abcdefghijklmnopqrstuvwx";
  const auto units =
      SealedUnits::open(folder, "chunks/0/0/7_0_5", std::as_bytes(std::span(header)).first<kSealedHeader>());
  ASSERT_TRUE(units);
  const std::string plain = "hello";
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(plain))};
  std::string sealed(plain.size() + kAeadTag, '\0');
  ASSERT_TRUE(units->seal(0, pieces, std::as_writable_bytes(std::span(sealed))));
  EXPECT_EQ(to_hex(sealed), "c0877a1eeed3759e431c34d879b2c0e9c17dfe1052");
  ASSERT_TRUE(units->seal(258, pieces, std::as_writable_bytes(std::span(sealed))));
  EXPECT_EQ(to_hex(sealed), "32f9ed84cf867d72a1aff07e9a479aae60140e8b04");
}

TEST(SealedUnits, EqualFilesDiffer) {
  const AeadKey folder = *AeadKey::random();
  const Bytes plain = pattern(100);
  const Bytes one = seal_file(folder, "a", plain), two = seal_file(folder, "a", plain);
  EXPECT_FALSE(std::equal(one.begin() + 8, one.begin() + 32, two.begin() + 8));
  EXPECT_FALSE(std::equal(one.begin() + 32, one.end(), two.begin() + 32));
}

TEST(SealedUnits, NothingPassesForAnother) {
  const AeadKey folder = *AeadKey::random();
  const size_t size = 2 * kSealedUnit;
  const Bytes file = seal_file(folder, "a", pattern(size));
  ASSERT_TRUE(open_unit(folder, "a", file, size, 0));
  EXPECT_EQ(code_of(open_unit(folder, "b", file, size, 0)), EBADMSG);
  EXPECT_EQ(code_of(open_unit(*AeadKey::random(), "a", file, size, 0)), EBADMSG);

  Bytes swapped = file;  // the two units
  std::swap_ranges(swapped.begin() + sealed_unit_offset(0), swapped.begin() + sealed_unit_offset(1),
                   swapped.begin() + sealed_unit_offset(1));
  EXPECT_EQ(code_of(open_unit(folder, "a", swapped, size, 0)), EBADMSG);

  for (size_t at : {size_t{0}, size_t{7}, size_t{8}, size_t{31}, size_t{32}, sealed_unit_offset(1) - 1}) {
    Bytes altered = file;
    altered[at] ^= std::byte{4};
    EXPECT_EQ(code_of(open_unit(folder, "a", altered, size, 0)), EBADMSG) << at;
  }
}

}  // namespace
}  // namespace cider
