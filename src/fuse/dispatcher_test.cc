// Decoding and encoding without a kernel: requests as bytes in, answers as bytes out.
#include "fuse/dispatcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <future>
#include <thread>

#include "base/budget.h"
#include "fuse/notifier.h"
#include "fuse/testing/fake_transport.h"
#include "fuse/testing/memory_fs.h"

namespace cider::fuse {
namespace {

using testing::Answer;
using testing::FakeTransport;
using testing::MemoryFs;
using testing::message;
using testing::raw;

class DispatcherTest : public ::testing::Test {
 protected:
  void send(const std::string& bytes) { deliver(bytes, nullptr, nullptr, kernel_, dispatcher_); }

  // Sends a request and checks that it got exactly one answer.
  Answer ask(uint32_t opcode, uint64_t nodeid, const std::string& body) {
    unique_ += 2;
    send(message(opcode, unique_, nodeid, body));
    auto answers = kernel_.answers(unique_);
    EXPECT_EQ(answers.size(), 1U) << "opcode " << opcode;
    return answers.empty() ? Answer{.error = -1} : answers[0];
  }
  Answer init(uint32_t minor, uint32_t flags) {
    return ask(FUSE_INIT, 0,
               raw(fuse_init_in{.major = 7, .minor = minor, .max_readahead = 131072, .flags = flags}));
  }
  Ino create(const std::string& name) {
    fuse_create_in in{.flags = O_RDWR, .mode = S_IFREG | 0666, .umask = 022};
    Answer answer = ask(FUSE_CREATE, kRootIno, raw(in) + name + '\0');
    EXPECT_EQ(answer.error, 0);
    EXPECT_EQ(answer.payload.size(), sizeof(fuse_entry_out) + sizeof(fuse_open_out));
    return answer.as<fuse_entry_out>().nodeid;
  }

  MemoryFs fs_;
  FakeTransport kernel_;
  InterruptTable interrupts_;
  Status init_status_ = fail(EAGAIN);
  FuseOptions options_;
  Dispatcher dispatcher_{fs_, options_, interrupts_, [this](const Status& status) { init_status_ = status; }};
  uint64_t unique_ = 0;
};

TEST_F(DispatcherTest, InitTakesWhatIsOfferedAndWanted) {
  Answer answer = init(38, ~0U);
  auto out = answer.as<fuse_init_out>();
  ASSERT_EQ(answer.payload.size(), sizeof out);
  EXPECT_EQ(out.major, 7U);
  EXPECT_EQ(out.max_write, 1U << 20);
  EXPECT_EQ(out.max_pages, 256);
  EXPECT_EQ(out.max_background, 64);
  EXPECT_EQ(out.time_gran, 1U);
  for (uint32_t flag :
       {FUSE_PARALLEL_DIROPS, FUSE_HANDLE_KILLPRIV_V2, FUSE_EXPLICIT_INVAL_DATA, FUSE_READDIRPLUS_AUTO,
        FUSE_DONT_MASK, FUSE_POSIX_LOCKS, FUSE_FLOCK_LOCKS, FUSE_SETXATTR_EXT}) {
    EXPECT_TRUE(out.flags & flag) << flag;
  }
  for (uint32_t flag : {FUSE_ATOMIC_O_TRUNC, FUSE_WRITEBACK_CACHE, FUSE_POSIX_ACL, FUSE_AUTO_INVAL_DATA,
                        FUSE_HANDLE_KILLPRIV, FUSE_INIT_EXT}) {
    EXPECT_FALSE(out.flags & flag) << flag;
  }
  EXPECT_TRUE(init_status_);
  EXPECT_EQ(init(31, FUSE_BIG_WRITES).as<fuse_init_out>().flags, uint32_t{FUSE_BIG_WRITES});
}

TEST_F(DispatcherTest, InitRefusesAnOldKernel) {
  EXPECT_EQ(init(30, ~0U).error, EPROTO);
  ASSERT_FALSE(init_status_);
  EXPECT_NE(init_status_.error().message.find("7.30"), std::string::npos);
  EXPECT_EQ(ask(FUSE_INIT, 0, "short").error, EPROTO);
}

// 32 bits of flags2 follow from 7.36 on, and eleven unused words.
std::string init_body(uint32_t flags2) {
  fuse_init_in in{.major = 7, .minor = 42, .max_readahead = 131072, .flags = ~0U, .flags2 = flags2};
  return raw(in);
}

TEST_F(DispatcherTest, InitTakesRingsWhereTheyAreWanted) {
  EXPECT_FALSE(ask(FUSE_INIT, 0, init_body(kInitOverIoUring)).as<fuse_init_out>().flags & FUSE_INIT_EXT)
      << "they were not";
  options_.io_uring = true;
  Status status;
  Dispatcher dispatcher(fs_, options_, interrupts_, [&](const Status& s) { status = s; });
  const auto ask_for = [&](uint32_t flags2) {
    deliver(message(FUSE_INIT, unique_ += 2, 0, init_body(flags2)), nullptr, nullptr, kernel_, dispatcher);
    return kernel_.answers(unique_).at(0);
  };
  auto out = ask_for(~0U).as<fuse_init_out>();
  EXPECT_TRUE(status);
  EXPECT_TRUE(out.flags & FUSE_INIT_EXT);
  EXPECT_EQ(out.flags2, 0x200U);
  EXPECT_EQ(ask_for(~kInitOverIoUring).error, EPROTO);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("enable_uring"), std::string::npos);
}

TEST_F(DispatcherTest, AbsentNamesAreCachedAsSuch) {
  auto out = ask(FUSE_LOOKUP, kRootIno, std::string("none\0", 5)).as<fuse_entry_out>();
  EXPECT_EQ(out.nodeid, 0U);
  EXPECT_EQ(out.entry_valid, 1U);
}

TEST_F(DispatcherTest, CreateHandsTheUmaskOn) {
  Ino ino = create("f");
  auto out = ask(FUSE_LOOKUP, kRootIno, std::string("f\0", 2)).as<fuse_entry_out>();
  EXPECT_EQ(out.nodeid, ino);
  EXPECT_EQ(out.generation, kGeneration);
  EXPECT_EQ(out.attr.mode, S_IFREG | 0644U);
  EXPECT_EQ(out.attr.uid, 1000U);
  EXPECT_EQ(out.attr.gid, 1001U);
}

TEST_F(DispatcherTest, DotNamesFindInodesForNfs) {
  EXPECT_EQ(ask(FUSE_MKDIR, kRootIno, raw(fuse_mkdir_in{.mode = 0755}) + std::string("d\0", 2)).error, 0);
  Ino dir = ask(FUSE_LOOKUP, kRootIno, std::string("d\0", 2)).as<fuse_entry_out>().nodeid;
  EXPECT_EQ(ask(FUSE_LOOKUP, dir, std::string(".\0", 2)).as<fuse_entry_out>().nodeid, dir);
  EXPECT_EQ(ask(FUSE_LOOKUP, dir, std::string("..\0", 3)).as<fuse_entry_out>().nodeid, kRootIno);
  EXPECT_EQ(ask(FUSE_LOOKUP, 999, std::string(".\0", 2)).error, ENOENT);
}

TEST_F(DispatcherTest, NegativeTimesSurvive) {
  Ino ino = create("f");
  fuse_setattr_in in{
      .valid = FATTR_ATIME | FATTR_MTIME_NOW, .atime = static_cast<uint64_t>(-10), .atimensec = 5};
  auto out = ask(FUSE_SETATTR, ino, raw(in)).as<fuse_attr_out>();
  EXPECT_EQ(static_cast<int64_t>(out.attr.atime), -10);
  EXPECT_EQ(out.attr.atimensec, 5U);
  in.atimensec = 1'000'000'000;
  EXPECT_EQ(ask(FUSE_SETATTR, ino, raw(in)).error, EINVAL);
}

TEST_F(DispatcherTest, StatxCarriesTheFlags) {
  vfs::AttrReply reply{.ino = 7, .attr = {.flags = meta::kFlagImmutable, .rdev = 0x12345678}};
  StatxOut out = encode_statx(reply);
  EXPECT_EQ(out.stat.attributes, uint64_t{STATX_ATTR_IMMUTABLE});
  EXPECT_EQ(out.stat.attributes_mask, uint64_t{STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND});
  EXPECT_EQ(out.stat.rdev_major, 0x456U);
  EXPECT_EQ(out.stat.rdev_minor, 0x12378U);
  auto asked = ask(kOpStatx, kRootIno, raw(StatxIn{})).as<StatxOut>();
  EXPECT_EQ(asked.stat.ino, kRootIno);
  EXPECT_EQ(asked.stat.mode, S_IFDIR | 0755);
}

TEST_F(DispatcherTest, ReaddirFillsButNeverExceedsTheSize) {
  for (int i = 0; i < 50; ++i) create("name-" + std::to_string(i));
  for (uint32_t opcode : {FUSE_READDIR, FUSE_READDIRPLUS}) {
    uint64_t offset = 0;
    std::vector<std::string> names;
    for (;;) {
      std::string listing = ask(opcode, kRootIno, raw(fuse_read_in{.offset = offset, .size = 700})).payload;
      ASSERT_LE(listing.size(), 700U);
      ASSERT_EQ(listing.size() % 8, 0U);
      if (listing.empty()) break;
      for (size_t at = 0; at < listing.size();) {
        fuse_entry_out entry{};
        if (opcode == FUSE_READDIRPLUS) {
          std::memcpy(&entry, listing.data() + at, sizeof entry);
          at += sizeof entry;
        }
        fuse_dirent dirent;
        std::memcpy(&dirent, listing.data() + at, sizeof dirent);
        std::string name = listing.substr(at + sizeof dirent, dirent.namelen);
        uint64_t node = opcode == FUSE_READDIR || name.starts_with('.') ? 0 : dirent.ino;
        EXPECT_EQ(entry.nodeid, node);
        names.push_back(name);
        offset = dirent.off;
        at += FUSE_DIRENT_SIZE(&dirent);
      }
    }
    EXPECT_EQ(names.size(), 52U);
  }
  EXPECT_EQ(ask(FUSE_READDIR, kRootIno, raw(fuse_read_in{.size = 8})).payload.size(), 0U);
}

TEST_F(DispatcherTest, XattrSizes) {
  init(38, ~0U);
  Ino ino = create("f");
  fuse_setxattr_in in{.size = 3, .flags = XATTR_CREATE};
  EXPECT_EQ(ask(FUSE_SETXATTR, ino, raw(in) + std::string("user.a\0abc", 10)).error, 0);
  EXPECT_EQ(ask(FUSE_SETXATTR, ino, raw(in) + std::string("user.a\0abc", 10)).error, EEXIST);
  EXPECT_EQ(ask(FUSE_SETXATTR, ino, raw(in) + std::string("user.a\0ab", 9)).error, EIO) << "the size lies";
  in.flags = 8;
  EXPECT_EQ(ask(FUSE_SETXATTR, ino, raw(in) + std::string("user.b\0abc", 10)).error, EINVAL);
  std::string name("user.a\0", 7);
  EXPECT_EQ(ask(FUSE_GETXATTR, ino, raw(fuse_getxattr_in{.size = 0}) + name).as<fuse_getxattr_out>().size,
            3U);
  EXPECT_EQ(ask(FUSE_GETXATTR, ino, raw(fuse_getxattr_in{.size = 2}) + name).error, ERANGE);
  EXPECT_EQ(ask(FUSE_GETXATTR, ino, raw(fuse_getxattr_in{.size = 3}) + name).payload, "abc");
  EXPECT_EQ(ask(FUSE_LISTXATTR, ino, raw(fuse_getxattr_in{.size = 100})).payload, name);
}

TEST_F(DispatcherTest, OldKernelsSendTheShortSetxattr) {
  init(31, FUSE_BIG_WRITES);
  Ino ino = create("f");
  std::string in = raw(uint32_t{1}) + raw(uint32_t{0});
  EXPECT_EQ(ask(FUSE_SETXATTR, ino, in + std::string("user.a\0x", 8)).error, 0);
}

TEST_F(DispatcherTest, MalformedRequestsAreAnswered) {
  // Each opcode with bodies that are empty, too short, or whose name has no end.
  for (uint32_t opcode = 1; opcode < 60; ++opcode) {
    if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
        opcode == FUSE_NOTIFY_REPLY) {
      continue;
    }
    for (size_t length : {0, 1, 7, 8, 15, 16, 17, 40, 100}) ask(opcode, kRootIno, std::string(length, 'n'));
    for (size_t length : {1, 8, 40, 200}) ask(opcode, kRootIno, std::string(length, '\0'));
    for (size_t length : {8, 40, 200}) ask(opcode, kRootIno, std::string(length, '\xff'));
  }
  EXPECT_EQ(ask(FUSE_LOOKUP, kRootIno, "no end").error, EIO);
  EXPECT_EQ(ask(FUSE_LOOKUP, kRootIno, std::string("a/b\0", 4)).error, EIO);
  EXPECT_EQ(ask(FUSE_LOOKUP, kRootIno, std::string("\0", 1)).error, EIO);
  EXPECT_EQ(
      ask(FUSE_RENAME2, kRootIno, raw(fuse_rename2_in{.newdir = 1, .flags = 64}) + std::string("a\0b\0", 4))
          .error,
      EINVAL);
  EXPECT_EQ(ask(FUSE_WRITE, 2, raw(fuse_write_in{.size = 100}) + "only this").error, EIO);
  EXPECT_EQ(ask(FUSE_IOCTL, 2, raw(fuse_ioctl_in{.in_size = 100}) + "only this").error, EIO);
  EXPECT_EQ(ask(FUSE_SETLK, 2, raw(fuse_lk_in{.lk = {.start = 5, .end = 4, .type = F_WRLCK}})).error, EINVAL);
  EXPECT_EQ(ask(FUSE_SETLK, 2, raw(fuse_lk_in{.lk = {.end = 4, .type = 99}})).error, EINVAL);
  EXPECT_EQ(ask(FUSE_POLL, 2, std::string(100, 'x')).error, ENOSYS);
  EXPECT_EQ(ask(12345, 2, "").error, ENOSYS);
}

TEST_F(DispatcherTest, LyingLengthsAreAnsweredAndFragmentsDropped) {
  std::string bytes = message(FUSE_GETATTR, 100, 1, raw(fuse_getattr_in{}));
  send(bytes + "more");
  EXPECT_EQ(kernel_.answers(100).at(0).error, EIO);
  send(bytes.substr(0, 50));
  EXPECT_EQ(kernel_.answers(100).at(1).error, EIO);
  fuse_in_header header{.len = 40, .opcode = FUSE_STATFS, .unique = 102, .nodeid = 1, .total_extlen = 9};
  send(raw(header));
  EXPECT_EQ(kernel_.answers(102).at(0).error, EIO);
  send(bytes.substr(0, 39));
  send("");
}

TEST_F(DispatcherTest, ForgetAndUnknownInterruptWantNoAnswer) {
  send(message(FUSE_FORGET, 200, 1, raw(fuse_forget_in{1})));
  send(message(FUSE_BATCH_FORGET, 202, 0, "nonsense"));
  send(message(FUSE_INTERRUPT, 205, 0, raw(fuse_interrupt_in{204})));
  send(message(FUSE_INTERRUPT, 207, 0, ""));
  for (uint64_t unique : {200, 202, 205, 207}) EXPECT_TRUE(kernel_.answers(unique).empty());
}

TEST_F(DispatcherTest, AnInterruptMayOvertakeItsRequest) {
  Ino ino = create("blocked");
  send(message(FUSE_INTERRUPT, 301, 0, raw(fuse_interrupt_in{300})));
  send(message(FUSE_READ, 300, ino, raw(fuse_read_in{.size = 10})));  // would wait for ever
  EXPECT_EQ(kernel_.answers(300).at(0).error, EINTR);
}

TEST_F(DispatcherTest, AWaitingLockIsAnsweredLater) {
  Ino ino = create("l");
  fuse_lk_in mine{.owner = 1, .lk = {.start = 0, .end = INT64_MAX, .type = F_WRLCK}};
  fuse_lk_in other = mine;
  other.owner = 2;
  EXPECT_EQ(ask(FUSE_SETLK, ino, raw(mine)).error, 0);
  EXPECT_EQ(ask(FUSE_SETLK, ino, raw(other)).error, EAGAIN);
  auto held = ask(FUSE_GETLK, ino, raw(other)).as<fuse_lk_out>();
  EXPECT_EQ(held.lk.type, uint32_t{F_WRLCK});
  EXPECT_EQ(held.lk.end, uint64_t{INT64_MAX});
  send(message(FUSE_SETLKW, 400, ino, raw(other)));
  send(message(FUSE_SETLKW, 402, ino, raw(other)));
  EXPECT_TRUE(kernel_.answers(400).empty());
  send(message(FUSE_INTERRUPT, 403, 0, raw(fuse_interrupt_in{402})));
  EXPECT_EQ(kernel_.answers(402).at(0).error, EINTR);
  mine.lk.type = F_UNLCK;
  EXPECT_EQ(ask(FUSE_SETLK, ino, raw(mine)).error, 0);
  EXPECT_EQ(kernel_.answers(400).at(0).error, 0);
}

TEST_F(DispatcherTest, AnOpenThatTheKernelDidNotTakeIsReleased) {
  Ino ino = create("f");
  int before = fs_.open_handles;
  kernel_.taking = false;
  ask(FUSE_OPEN, ino, raw(fuse_open_in{.flags = O_RDONLY}));
  ask(FUSE_OPENDIR, kRootIno, raw(fuse_open_in{.flags = O_RDONLY}));
  EXPECT_EQ(fs_.open_handles, before);
}

TEST(Transport, LargeWritesAreTakenOverSmallOnesCopied) {
  MemoryBudget budget(100 << 20);
  for (size_t size : {4096UL, 1UL << 20}) {
    Buffer store = Buffer::allocate((1 << 20) + 4096, &budget);
    const std::byte* memory = store.data();
    std::string head = message(FUSE_WRITE, 1, 2, std::string(sizeof(fuse_write_in) + size, 'x'));
    ASSERT_EQ(head.size(), size + 80);
    std::memcpy(store.mutable_data() + 4096 - 80, head.data(), head.size());
    Request request({reinterpret_cast<const char*>(memory) + 4096 - 80, head.size()}, &store, &budget);
    Buffer kept = request.keep(request.body().substr(sizeof(fuse_write_in)));
    EXPECT_EQ(kept.size(), size);
    EXPECT_EQ(kept.text(), std::string(size, 'x'));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(kept.data()) % 4096, 0U);
    if (size == 4096) {
      EXPECT_FALSE(store.empty());
      EXPECT_EQ(kept.footprint(), 4096U);
    } else {
      EXPECT_TRUE(store.empty());
      EXPECT_EQ(kept.data(), memory + 4096);
    }
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Transport, ADroppedReplyAnswersEio) {
  FakeTransport kernel;
  {
    Reply reply(kernel, 9);
  }
  EXPECT_EQ(kernel.answers(9).at(0).error, EIO);
  {
    Reply reply(kernel, 11);
    Reply moved(std::move(reply));
    moved.error(100'000);  // not an errno that the kernel takes
  }
  ASSERT_EQ(kernel.answers(11).size(), 1U);
  EXPECT_EQ(kernel.answers(11)[0].error, EIO);
}

TEST(Transport, ChainsLongerThanOneWritevAreWhole) {
  FakeTransport kernel;
  BufferChain chain;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    Buffer piece = Buffer::allocate(3, nullptr);
    std::string text = std::to_string(i % 900 + 100);
    std::memcpy(piece.mutable_data(), text.data(), 3);
    chain.push_back(piece);
    expected += text;
  }
  Reply(kernel, 1).chain(chain);
  EXPECT_EQ(kernel.answers(1).at(0).payload, expected);
}

TEST(Notifier, MergesAndSparesBusyPages) {
  FakeTransport kernel;
  InterruptTable interrupts;
  Notifier notifier(kernel, interrupts);
  auto offset_of = [&](size_t i) {
    fuse_notify_inval_inode_out out;
    std::memcpy(&out, kernel.notified().at(i).second.data(), sizeof out);
    return out.off;
  };
  auto wait_for = [&](auto condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return condition();
  };
  {
    fuse_in_header header{.opcode = FUSE_READ, .unique = 2, .nodeid = 5};
    InterruptTable::Entry reading(interrupts, header);
    notifier.push({.ino = 5, .data = true});
    ASSERT_TRUE(wait_for([&] { return kernel.notified().size() >= 2; }));
    for (size_t i = 0; i < kernel.notified().size(); ++i) EXPECT_EQ(offset_of(i), -1);
  }
  EXPECT_TRUE(wait_for([&] { return offset_of(kernel.notified().size() - 1) == 0; }));
  {
    // Others may keep the inode busy for ever; who waits for the drop does not wait for them.
    fuse_in_header header{.opcode = FUSE_READ, .unique = 2, .nodeid = 5};
    InterruptTable::Entry reading(interrupts, header);
    std::promise<void> dropped;
    notifier.push({.ino = 5, .data = true, .then = [&] { dropped.set_value(); }});
    dropped.get_future().wait();
    EXPECT_EQ(offset_of(kernel.notified().size() - 1), 0);
  }
  size_t before = kernel.notified().size();
  notifier.push({.parent = 1, .name = "n"});
  ASSERT_TRUE(wait_for([&] { return kernel.notified().size() > before; }));
  auto [code, payload] = kernel.notified().back();
  EXPECT_EQ(code, FUSE_NOTIFY_INVAL_ENTRY);
  EXPECT_EQ(payload.substr(sizeof(fuse_notify_inval_entry_out)), std::string("n\0", 2));
  notifier.stop();
  bool called = false;
  notifier.push({.ino = 5, .data = true, .then = [&] { called = true; }});
  EXPECT_TRUE(called) << "nobody waits for a kernel that is gone";
}

// A kernel that does not drop the pages of inode 5 before it is told to.
class StalledKernel final : public ReplySink {
 public:
  bool answer(uint64_t, int, std::span<const iovec>) noexcept override { return true; }
  Status notify(int, std::span<const iovec> payload) override {
    fuse_notify_inval_inode_out out;
    std::memcpy(&out, payload[0].iov_base, sizeof out);
    if (out.ino == 5 && out.off == 0) go_on.get_future().wait();
    return {};
  }
  std::promise<void> go_on;
};

TEST(Notifier, OneStalledFileDoesNotHoldUpWhoWaitsForOthers) {
  StalledKernel kernel;
  InterruptTable interrupts;
  Notifier notifier(kernel, interrupts);
  fuse_in_header header{.opcode = FUSE_READ, .unique = 2, .nodeid = 5};
  InterruptTable::Entry reading(interrupts, header);
  std::promise<void> stalled, other;
  notifier.push({.ino = 5, .data = true, .then = [&] { stalled.set_value(); }});
  notifier.push({.ino = 6, .data = true, .then = [&] { other.set_value(); }});
  other.get_future().wait();
  auto waiting = stalled.get_future();
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  kernel.go_on.set_value();
  waiting.wait();
}

}  // namespace
}  // namespace cider::fuse
