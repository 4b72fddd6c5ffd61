// How requests lie in a ring's memory, byte by byte, and how answers are put there.
#include "fuse/ring_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace cider::fuse {
namespace {

constexpr size_t kPayload = 128 << 10;

// Puts a request there as the kernel does (fuse_uring_copy_to_ring): the header, the first argument where it
// has one, the others as payload.
class KernelSide {
 public:
  explicit KernelSide(RingMemory& memory)
      : headers_(static_cast<char*>(memory.vector()[0].iov_base)),
        payload_(static_cast<char*>(memory.vector()[1].iov_base)) {}

  void put(const fuse_in_header& header, std::string_view first, std::string_view rest, uint64_t commit_id) {
    std::memcpy(headers_, &header, sizeof header);
    std::memcpy(headers_ + 128, first.data(), first.size());
    const uint32_t size = static_cast<uint32_t>(rest.size());
    std::memcpy(headers_ + 264, &commit_id, sizeof commit_id);
    std::memcpy(headers_ + 272, &size, sizeof size);
    std::memcpy(payload_, rest.data(), rest.size());
  }
  std::string out_header() const { return {headers_, 16}; }
  uint32_t payload_size() const {
    uint32_t size;
    std::memcpy(&size, headers_ + 272, sizeof size);
    return size;
  }
  std::string payload() const { return {payload_, payload_size()}; }
  bool contains(const char* at) const { return at >= payload_ && at < payload_ + kPayload; }

 private:
  char* const headers_;
  char* const payload_;
};

std::string raw(const fuse_in_header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

TEST(RingMemory, ARequestIsInOnePiece) {
  RingMemory memory(kPayload);
  ASSERT_TRUE(memory);
  ASSERT_EQ(memory.vector().size(), 2U);
  EXPECT_EQ(memory.vector()[0].iov_len, 288U);
  EXPECT_EQ(memory.vector()[1].iov_len, kPayload);
  KernelSide kernel(memory);

  const fuse_in_header write{.len = 40 + 40 + 5, .opcode = FUSE_WRITE, .unique = 8};
  kernel.put(write, std::string(40, 'w'), "bytes", 77);
  EXPECT_EQ(memory.message(), raw(write) + std::string(40, 'w') + "bytes");
  EXPECT_EQ(memory.commit_id(), 77U);
  EXPECT_EQ(memory.used(), 5U);
  const char* data = memory.message().data() + 80;
  EXPECT_TRUE(kernel.contains(data)) << "not copied";
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 4096, 0U);

  const fuse_in_header lookup{.len = 40 + 5, .opcode = FUSE_LOOKUP, .unique = 10};
  kernel.put(lookup, "", std::string("name\0", 5), 78);
  EXPECT_EQ(memory.message(), raw(lookup) + std::string("name\0", 5));

  const fuse_in_header getattr{.len = 40 + 16, .opcode = FUSE_GETATTR, .unique = 12};
  kernel.put(getattr, std::string(16, 'g'), "", 79);
  EXPECT_EQ(memory.message(), raw(getattr) + std::string(16, 'g'));
}

TEST(RingMemory, LengthsThatLieStayWithinTheMemory) {
  RingMemory memory(kPayload);
  KernelSide kernel(memory);
  kernel.put({.len = 1 << 30}, "", "x", 1);
  EXPECT_EQ(memory.message().size(), 40U + 128 + 1);
  kernel.put({.len = 3}, "", "x", 1);
  EXPECT_EQ(memory.message().size(), 40U + 1);
  const uint32_t huge = ~0U;
  std::memcpy(static_cast<char*>(memory.vector()[0].iov_base) + 272, &huge, sizeof huge);
  EXPECT_EQ(memory.message().size(), 40U + kPayload);
}

TEST(RingMemory, AnswersAreGathered) {
  RingMemory memory(kPayload);
  KernelSide kernel(memory);
  std::string a = "one ";
  std::string b = "two";
  const iovec pieces[] = {{a.data(), a.size()}, {b.data(), b.size()}};
  ASSERT_TRUE(memory.put_answer(42, 0, pieces));
  EXPECT_EQ(kernel.out_header(), std::string("\x17\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(kernel.payload(), "one two");

  ASSERT_TRUE(memory.put_answer(42, ENOENT, {}));
  EXPECT_EQ(kernel.out_header(), std::string("\x10\0\0\0\xfe\xff\xff\xff\x2a\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(kernel.payload_size(), 0U);

  std::string most(kPayload, 'm');
  const iovec full[] = {{most.data(), most.size()}};
  EXPECT_TRUE(memory.put_answer(42, 0, full));
  const iovec more[] = {{most.data(), most.size()}, {a.data(), 1}};
  EXPECT_FALSE(memory.put_answer(42, 0, more));
}

}  // namespace
}  // namespace cider::fuse
