// Which request has a token of its own.
#include "fuse/interrupts.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace cider::fuse {
namespace {

fuse_in_header request(uint32_t opcode, uint64_t unique) {
  return {.len = sizeof(fuse_in_header),
          .opcode = opcode,
          .unique = unique,
          .nodeid = 1,
          .pid = static_cast<uint32_t>(::getpid())};
}

TEST(Interrupts, AReadThatWasNotInterruptedLeavesItsSourceToTheNext) {
  InterruptTable table;
  std::stop_token first;
  {
    const InterruptTable::Entry read(table, request(FUSE_READ, 2));
    first = read.token();
  }
  {
    const InterruptTable::Entry write(table, request(FUSE_WRITE, 4));
    EXPECT_FALSE(write.token() == first) << "data that was written is on its way for longer than the request";
  }
  const InterruptTable::Entry read(table, request(FUSE_READ, 6));
  EXPECT_TRUE(read.token() == first);
  const InterruptTable::Entry another(table, request(FUSE_READ, 8));
  EXPECT_FALSE(another.token() == first) << "at the same time";
}

// Whoever interrupts a request may come to stop it only after it was answered.
TEST(Interrupts, AReadThatWasInterruptedLeavesNothing) {
  InterruptTable table;
  std::stop_token first;
  {
    const InterruptTable::Entry read(table, request(FUSE_READ, 2));
    first = read.token();
    table.interrupt(2);
    EXPECT_FALSE(first.stop_requested()) << "that comes a second later";
  }
  const InterruptTable::Entry read(table, request(FUSE_READ, 4));
  EXPECT_FALSE(read.token() == first);
}

}  // namespace
}  // namespace cider::fuse
