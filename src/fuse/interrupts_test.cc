// Which request has a token of its own, and which is stopped though nobody interrupts it.
#include "fuse/interrupts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
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

// A caller whose signal came just before its request was handed over: no INTERRUPT tells of it.
TEST(Interrupts, OfACallerThatIsBeingKilledARequestEndsTheSecondTimeItIsSeen) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::raise(SIGSTOP);
    for (;;) ::pause();
  }
  ::waitpid(child, nullptr, WUNTRACED);
  InterruptTable table;
  fuse_in_header header = request(FUSE_FLUSH, 2);
  header.pid = static_cast<uint32_t>(child);
  const InterruptTable::Entry dying(table, header);
  const InterruptTable::Entry living(table, request(FUSE_FLUSH, 4));
  fuse_in_header foreign = request(FUSE_FLUSH, 6);
  foreign.pid = 0;
  const InterruptTable::Entry unseen(table, foreign);
  ::kill(child, SIGTERM);  // stays pending while it is stopped
  table.stop_killed();
  EXPECT_FALSE(dying.token().stop_requested()) << "most end within a moment";
  table.stop_killed();
  EXPECT_TRUE(dying.token().stop_requested());
  EXPECT_FALSE(living.token().stop_requested());
  EXPECT_FALSE(unseen.token().stop_requested()) << "of another PID namespace";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace cider::fuse
