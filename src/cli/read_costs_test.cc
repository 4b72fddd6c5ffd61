// What a READ of cached data costs from the kernel's request to the answer, counted: allocations by replacing
// operator new in this program, bytes by what the answer gathers and the cache was asked for.
#include <gtest/gtest.h>

#include "base/testing/counted_new.h"
#include "chunk/block_cache.h"
#include "fuse/dispatcher.h"
#include "fuse/testing/fake_transport.h"
#include "vfs/testing/mount.h"

namespace cider::fuse {
namespace {

// Has every block. Notes where its bytes went.
class FullCache final : public chunk::BlockCache {
 public:
  bool read(const chunk::BlockName&, uint32_t, std::span<std::byte> out) override {
    bytes += out.size();
    place = out.data();
    return true;
  }
  bool contains(const chunk::BlockName&) const override { return true; }
  void offer(const chunk::BlockName&, BufferChain, Origin) override {}
  void remove(const chunk::BlockName&) override {}

  std::atomic<size_t> bytes{0};
  const void* place = nullptr;
};

// The kernel's side; keeps nothing.
class CountingSink final : public ReplySink {
 public:
  bool answer(uint64_t, int error, std::span<const iovec> payload) noexcept override {
    if (error) ++errors;
    for (const iovec& piece : payload) {
      bytes += piece.iov_len;
      place = piece.iov_base;
    }
    return true;
  }
  Status notify(int, std::span<const iovec>) override { return {}; }

  size_t errors = 0;
  size_t bytes = 0;
  const void* place = nullptr;
};

class ReadCosts : public ::testing::Test {
 protected:
  void SetUp() override {
    ino_ = mount_.make(kRootIno, "f", std::string(kLength, 'x'));
    handle_ = mount_.open(ino_, O_RDONLY).handle;
    for (uint64_t at : {0, 3, 5}) read(at << 20);  // learns the chunk's records and how it is read
  }
  void TearDown() override { mount_.close(ino_, handle_); }

  void read(uint64_t off) {
    const fuse_read_in in{.fh = handle_, .offset = off, .size = kSize};
    struct {
      fuse_in_header header;
      fuse_read_in in;
    } message{{.len = sizeof message, .opcode = FUSE_READ, .unique = unique_ += 2, .nodeid = ino_, .pid = 1},
              in};
    deliver({reinterpret_cast<const char*>(&message), sizeof message}, nullptr, nullptr, sink_, dispatcher_);
  }

  static constexpr uint64_t kLength = 8 << 20;
  static constexpr uint32_t kSize = 4096;
  FullCache cache_;
  vfs::testing::SharedVolume volume_;
  vfs::testing::Mount mount_{volume_, {}, &cache_};
  CountingSink sink_;
  InterruptTable interrupts_;
  FuseOptions options_;
  Dispatcher dispatcher_{mount_.fs, options_, interrupts_, [](const Status&) {}};
  Ino ino_ = 0;
  uint64_t handle_ = 0;
  uint64_t unique_ = 0;
};

// Far from each other, so that nothing is read ahead.
TEST_F(ReadCosts, SmallReadsOfCachedBlocks) {
  constexpr size_t kReads = 200;
  const size_t asked = cache_.bytes, answered = sink_.bytes, before = cider::testing::allocations;
  for (size_t i = 0; i < kReads; ++i) {
    read((i * 37 * (64 << 10) + i * 4096) % kLength);
    ASSERT_EQ(sink_.place, cache_.place) << "copied on the way";
  }
  EXPECT_EQ(sink_.errors, 0u);
  EXPECT_EQ(sink_.bytes - answered, kReads * kSize);
  EXPECT_EQ(cache_.bytes - asked, kReads * kSize);
  EXPECT_EQ(cider::testing::allocations - before, 0u);
}

}  // namespace
}  // namespace cider::fuse
