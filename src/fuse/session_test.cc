// The transport on a real mount, with a file system in memory behind it.
#include "fuse/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "base/testing/own_process.h"
#include "fuse/testing/mounted.h"

namespace cider::fuse {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::eventually;
using testing::MemoryFs;
using testing::SessionTest;
using testing::slurp;
using testing::Way;

INSTANTIATE_TEST_SUITE_P(Ways, SessionTest, ::testing::Values(Way::device, Way::rings),
                         ::testing::PrintToStringParamName());

TEST_P(SessionTest, MountsUnderItsNameAndUnmounts) {
  start();
  std::string mounts = slurp("/proc/self/mounts");
  EXPECT_NE(mounts.find("CiderFS:test " + dir_.string() + " fuse.ciderfs rw"), std::string::npos) << mounts;
  struct stat stat;
  ASSERT_EQ(::stat(dir_.c_str(), &stat), 0);
  EXPECT_EQ(stat.st_ino, 1U);
  std::string knob = "/sys/class/bdi/" + std::to_string(major(stat.st_dev)) + ":" +
                     std::to_string(minor(stat.st_dev)) + "/read_ahead_kb";
  EXPECT_EQ(slurp(knob), "4096\n");
  std::ofstream(dir_ / "f") << "x";
  EXPECT_TRUE(eventually([&] { return memory_.open_handles == 0; })) << "each handle is released";
  EXPECT_TRUE(session_->request_unmount(false));
  session_->wait();
  EXPECT_EQ(slurp("/proc/self/mounts").find(dir_.string()), std::string::npos);
}

TEST_P(SessionTest, BusyUntilClosedOrLazy) {
  start();
  int fd = ::open((dir_ / "f").c_str(), O_CREAT | O_RDWR, 0644);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(session_->request_unmount(false).error().code, EBUSY);
  EXPECT_TRUE(session_->request_unmount(true));
  EXPECT_EQ(::write(fd, "still here", 10), 10);
  ::close(fd);
  session_->wait();
}

TEST_P(SessionTest, ReadsBackWhatWasWritten) {
  start();
  std::string data(5 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + (i >> 12));
  std::ofstream(dir_ / "big", std::ios::binary) << data;
  // Past the page cache, too.
  int fd = ::open((dir_ / "big").c_str(), O_RDONLY);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
  EXPECT_TRUE(slurp(dir_ / "big") == data);
  fd = ::open((dir_ / "big").c_str(), O_RDONLY | O_DIRECT);
  void* block = std::aligned_alloc(4096, 8192);
  EXPECT_EQ(::pread(fd, block, 8192, 1 << 20), 8192);
  EXPECT_EQ(std::memcmp(block, data.data() + (1 << 20), 8192), 0);
  std::free(block);
  ::close(fd);
}

TEST_P(SessionTest, SmallWritesAtOddOffsets) {
  start();
  int fd = ::open((dir_ / "odd").c_str(), O_CREAT | O_RDWR, 0644);
  std::string model(300'000, '\0');
  for (size_t i = 0; i < 40; ++i) {
    size_t off = i * 7001;
    std::string piece(1 + i * 331, static_cast<char>('a' + i % 26));
    model.replace(off, piece.size(), piece);
    ASSERT_EQ(::pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(off)),
              static_cast<ssize_t>(piece.size()));
  }
  ASSERT_EQ(::ftruncate(fd, 300'000), 0);
  ::close(fd);
  EXPECT_TRUE(slurp(dir_ / "odd") == model);
}

TEST_P(SessionTest, ListsTenThousandNames) {
  start();
  std::set<std::string> names;
  for (int i = 0; i < 10'000; ++i) {
    std::string name = "file-" + std::to_string(i) + std::string(static_cast<size_t>(i % 50), 'x');
    names.insert(name);
    int fd = ::open((dir_ / name).c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  std::set<std::string> plain;
  for (const auto& entry : fs::directory_iterator(dir_)) plain.insert(entry.path().filename());
  EXPECT_EQ(plain, names);
  // Listing with a stat of each makes the kernel ask for attributes along with the names.
  std::set<std::string> plus;
  DIR* dir = ::opendir(dir_.c_str());
  while (const dirent* entry = ::readdir(dir)) {
    struct stat stat;
    if (entry->d_name[0] == '.') continue;
    EXPECT_EQ(entry->d_type, DT_REG);
    ASSERT_EQ(::fstatat(::dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_EQ(stat.st_mode, S_IFREG | 0600U);
    plus.insert(entry->d_name);
  }
  ::closedir(dir);
  EXPECT_EQ(plus, names);
}

TEST_P(SessionTest, NamesAndLinks) {
  start();
  fs::create_directory(dir_ / "d");
  std::ofstream(dir_ / "d/a") << "a";
  std::ofstream(dir_ / "b") << "b";
  fs::rename(dir_ / "d/a", dir_ / "c");
  EXPECT_EQ(slurp(dir_ / "c"), "a");
  EXPECT_EQ(::renameat2(AT_FDCWD, (dir_ / "b").c_str(), AT_FDCWD, (dir_ / "c").c_str(), RENAME_NOREPLACE),
            -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::renameat2(AT_FDCWD, (dir_ / "b").c_str(), AT_FDCWD, (dir_ / "c").c_str(), RENAME_EXCHANGE), 0);
  EXPECT_EQ(slurp(dir_ / "b"), "a");
  fs::create_symlink("d/nowhere", dir_ / "s");
  EXPECT_EQ(fs::read_symlink(dir_ / "s"), "d/nowhere");
  fs::create_hard_link(dir_ / "b", dir_ / "d/hard");
  EXPECT_EQ(fs::hard_link_count(dir_ / "b"), 2U);
  EXPECT_EQ(::mknod((dir_ / "pipe").c_str(), S_IFIFO | 0640, 0), 0);
  EXPECT_TRUE(fs::is_fifo(dir_ / "pipe"));
  EXPECT_EQ(::mknod((dir_ / "dev").c_str(), S_IFCHR | 0600, makedev(300, 70'000)), 0);
  struct stat stat;
  ASSERT_EQ(::stat((dir_ / "dev").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_rdev, makedev(300, 70'000));
  EXPECT_TRUE(fs::remove(dir_ / "d/hard"));
  EXPECT_TRUE(fs::remove(dir_ / "d"));
  EXPECT_FALSE(fs::exists(dir_ / "d"));
  EXPECT_EQ(::open((dir_ / std::string(256, 'n')).c_str(), O_RDONLY), -1);
  EXPECT_EQ(errno, ENAMETOOLONG);
  int fd = ::open(dir_.c_str(), O_TMPFILE | O_RDWR, 0600);
  EXPECT_GE(fd, 0);
  ::close(fd);
}

TEST_P(SessionTest, AttributesAndTheUmask) {
  start();
  mode_t old = ::umask(027);
  std::ofstream(dir_ / "f") << "x";
  ::umask(old);
  struct stat stat;
  ASSERT_EQ(::stat((dir_ / "f").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 07777, 0640U);
  EXPECT_EQ(::chmod((dir_ / "f").c_str(), 0600), 0);
  timespec times[2] = {{.tv_sec = -5, .tv_nsec = 7}, {.tv_sec = 1'000, .tv_nsec = 999'999'999}};
  EXPECT_EQ(::utimensat(AT_FDCWD, (dir_ / "f").c_str(), times, 0), 0);
  ASSERT_EQ(::stat((dir_ / "f").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 07777, 0600U);
  EXPECT_EQ(stat.st_atim.tv_sec, -5);
  EXPECT_EQ(stat.st_atim.tv_nsec, 7);
  EXPECT_EQ(stat.st_mtim.tv_nsec, 999'999'999);
  struct statx statx;
  ASSERT_EQ(::statx(AT_FDCWD, (dir_ / "f").c_str(), AT_STATX_FORCE_SYNC, STATX_ALL, &statx), 0);
  EXPECT_EQ(statx.stx_size, 1U);
  EXPECT_EQ(fs::space(dir_).capacity, 1ULL << 40);
}

TEST_P(SessionTest, ExtendedAttributes) {
  start();
  std::ofstream(dir_ / "f") << "x";
  std::string path = dir_ / "f";
  std::string value(60'000, 'v');
  EXPECT_EQ(::setxattr(path.c_str(), "user.large", value.data(), value.size(), 0), 0);
  EXPECT_EQ(::setxattr(path.c_str(), "user.large", "x", 1, XATTR_CREATE), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::setxattr(path.c_str(), "user.small", "", 0, 0), 0);
  EXPECT_EQ(::getxattr(path.c_str(), "user.large", nullptr, 0), 60'000);
  std::string back(60'000, '\0');
  EXPECT_EQ(::getxattr(path.c_str(), "user.large", back.data(), 100), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(::getxattr(path.c_str(), "user.large", back.data(), back.size()), 60'000);
  EXPECT_EQ(back, value);
  char list[100];
  EXPECT_EQ(::listxattr(path.c_str(), list, sizeof list), 22);
  EXPECT_EQ(::removexattr(path.c_str(), "user.small"), 0);
  EXPECT_EQ(::getxattr(path.c_str(), "user.small", nullptr, 0), -1);
  EXPECT_EQ(errno, ENODATA);
}

TEST_P(SessionTest, WithoutExtendedAttributes) {
  start({.xattr = false});
  std::ofstream(dir_ / "f") << "x";
  EXPECT_EQ(::setxattr((dir_ / "f").c_str(), "user.a", "x", 1, 0), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_P(SessionTest, RangesSeeksAndIoctl) {
  start();
  std::ofstream(dir_ / "a") << "0123456789";
  int a = ::open((dir_ / "a").c_str(), O_RDWR);
  int b = ::open((dir_ / "b").c_str(), O_CREAT | O_RDWR, 0644);
  off_t from = 2;
  EXPECT_EQ(::copy_file_range(a, &from, b, nullptr, 5, 0), 5);
  EXPECT_EQ(slurp(dir_ / "b"), "23456");
  EXPECT_EQ(::lseek(a, 3, SEEK_HOLE), 10);
  EXPECT_EQ(::lseek(a, 3, SEEK_DATA), 3);
  EXPECT_EQ(::lseek(a, 30, SEEK_DATA), -1);
  EXPECT_EQ(::fallocate(a, 0, 0, 100), 0);
  EXPECT_EQ(fs::file_size(dir_ / "a"), 100U);
  char argument[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(::ioctl(a, MemoryFs::kEchoIoctl, argument), 0);
  EXPECT_EQ(argument[0], 8);
  EXPECT_EQ(::ioctl(a, MemoryFs::kEchoIoctl + 1, argument), -1);
  EXPECT_EQ(errno, ENOTTY);
  ::close(a);
  ::close(b);
}

TEST_P(SessionTest, ManyBlockedReadsStopNobodyElse) {
  start();
  std::ofstream(dir_ / "free") << "y";
  block_and_kill(40, [&] {
    int before = memory_.getattrs;
    for (int i = 0; i < 100; ++i) {
      struct statx statx;
      ASSERT_EQ(::statx(AT_FDCWD, (dir_ / "free").c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &statx),
                0);
    }
    EXPECT_GE(memory_.getattrs - before, 100);
  });
  EXPECT_EQ(memory_.interrupted, 40);
}

class DeviceTest : public SessionTest {
 protected:
  // By their ids, with their states; one that is ending may be gone while it is looked at.
  static std::map<std::string, char> threads() {
    std::map<std::string, char> found;
    for (const auto& task : fs::directory_iterator("/proc/self/task")) {
      std::string id, name;
      char state = 0;
      if (std::ifstream(task.path() / "stat") >> id >> name >> state && name == "(fuse)") found[id] = state;
    }
    return found;
  }
  static bool are_at_rest() {
    return std::ranges::all_of(threads(), [](const auto& thread) { return thread.second == 'S'; });
  }
};
INSTANTIATE_TEST_SUITE_P(Ways, DeviceTest, ::testing::Values(Way::device),
                         ::testing::PrintToStringParamName());

TEST_P(DeviceTest, ThreadsAreKeptForAWhile) {
  constexpr size_t kReaders = 100;
  transport_.park_time = std::chrono::hours(1);
  start();
  std::map<std::string, char> all;
  block_and_kill(kReaders, [&] { all = threads(); });
  const size_t first = all.size();
  EXPECT_GE(first, kReaders);
  EXPECT_TRUE(eventually(are_at_rest));
  block_and_kill(kReaders, [&] { all.merge(threads()); });
  EXPECT_LE(all.size(), first + 40) << "of them 76 had ended";
}

constexpr const char* kReadBy = "CIDER_TEST_READ_AT_ONCE";
constexpr int kAtOnce = 32;

// Another process than the mount's, with threads that read the file at the same moment; it is killed.
TEST(ReadersAtOnce, DISABLED_Itself) {
  const char* const path = std::getenv(kReadBy);
  ASSERT_TRUE(path) << "it is a part of another test";
  const int fd = ::open(path, O_RDONLY | O_DIRECT);
  std::barrier together(kAtOnce);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      alignas(4096) char block[4096];
      together.arrive_and_wait();
      (void)!::pread(fd, block, sizeof block, 0);
    });
  }
}

// Each taken from the kernel while another thread is about to take its place.
TEST_P(SessionTest, NoneOfManyRequestsAtOnceIsLeftAside) {
  start();
  std::ofstream(dir_ / "blocked") << "x";
  ASSERT_EQ(::setenv(kReadBy, (dir_ / "blocked").c_str(), 1), 0);
  for (int round = 0; round < 20 && !HasFailure(); ++round) {
    const pid_t readers = cider::testing::start_disabled_test("ReadersAtOnce.DISABLED_Itself");
    ASSERT_GT(readers, 0);
    EXPECT_TRUE(eventually([&] { return memory_.blocked_reads == kAtOnce; })) << memory_.blocked_reads;
    ::kill(readers, SIGKILL);
    wait_exit(readers);
    EXPECT_TRUE(eventually([&] { return memory_.blocked_reads == 0; }));
  }
}

TEST_P(DeviceTest, ThreadsThatNobodyNeedsEnd) {
  transport_.park_time = milliseconds(50);
  transport_.parked = 3;
  transport_.max_receivers = 3;
  start();
  block_and_kill(40, [] {});
  EXPECT_TRUE(eventually([&] { return threads().size() <= 3 + transport_.max_receivers; }))
      << threads().size();
  std::this_thread::sleep_for(4 * transport_.park_time);
  EXPECT_GE(threads().size(), 3 + transport_.min_receivers) << "these stay";
}

// More waiting requests than threads: those beyond are set aside, INTERRUPTs get through, and all ends well.
TEST_P(SessionTest, InterruptsAreServedThoughAllThreadsAreBlocked) {
  constexpr int kThreads = 6;
  constexpr int kReaders = 20;
  limit_threads(kThreads);
  start();
  std::ofstream(dir_ / "blocked") << "x";
  std::vector<int> files;  // opened before, as an open would be set aside, too
  for (int i = 0; i < kReaders; ++i)
    files.push_back(::open((dir_ / "blocked").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  std::vector<pid_t> readers;
  for (int fd : files) {
    pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(fd, 3);
      ::close_range(4, ~0U, 0);
      alignas(4096) static char block[4096];
      ::_exit(::read(3, block, sizeof block) < 0 ? 0 : 1);
    }
    readers.push_back(pid);
  }
  // One thread of the device sets requests aside; of a ring's processors each may have had idle workers.
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  const int most = rings() ? kThreads + 2 * processors : kThreads - 1;
  ASSERT_TRUE(eventually([&] { return memory_.blocked_reads >= (rings() ? 2 : most); }))
      << memory_.blocked_reads;
  std::this_thread::sleep_for(milliseconds(200));  // nothing more happens
  EXPECT_LE(memory_.blocked_reads, most);
  for (pid_t pid : readers) ::kill(pid, SIGKILL);
  for (pid_t pid : readers) EXPECT_TRUE(WIFSIGNALED(wait_exit(pid)));
  for (int fd : files) ::close(fd);
  struct statx statx;
  EXPECT_EQ(::statx(AT_FDCWD, (dir_ / "blocked").c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &statx), 0);
  EXPECT_TRUE(eventually([&] { return memory_.open_handles == 0; })) << "each handle is released";
}

// Threads that wait for a lock are not the mount's threads.
TEST_P(SessionTest, HundredsWaitForLocksAndGetThemAll) {
  constexpr int kWaiters = 320;
  limit_threads(20);
  start();
  int holder = ::open((dir_ / "l").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  struct flock range{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10, .l_pid = 0};
  ASSERT_EQ(::flock(holder, LOCK_EX), 0);
  ASSERT_EQ(::fcntl(holder, F_OFD_SETLK, &range), 0);
  std::atomic<int> asked{0};
  std::atomic<int> granted{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      int fd = ::open((dir_ / "l").c_str(), O_RDWR | O_CLOEXEC);
      struct flock mine = range;
      ++asked;
      int got = i % 2 ? ::flock(fd, LOCK_EX) : ::fcntl(fd, F_OFD_SETLKW, &mine);
      if (got == 0) ++granted;
      mine.l_type = F_UNLCK;
      ::fcntl(fd, F_OFD_SETLK, &mine);  // the double does not give it up at the close
      ::close(fd);
    });
  }
  EXPECT_TRUE(eventually([&] { return asked == kWaiters; }));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(granted, 0);
  struct statx statx;
  EXPECT_EQ(::statx(AT_FDCWD, dir_.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &statx), 0);
  ASSERT_EQ(::flock(holder, LOCK_UN), 0);
  range.l_type = F_UNLCK;
  ASSERT_EQ(::fcntl(holder, F_OFD_SETLK, &range), 0);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(granted, kWaiters);
  ::close(holder);
}

TEST_P(SessionTest, InterruptEndsABlockedRead) {
  start();
  std::ofstream(dir_ / "blocked") << "x";
  pid_t pid = child([&] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    int fd = ::open((dir_ / "blocked").c_str(), O_RDONLY | O_DIRECT);
    alignas(4096) static char block[4096];
    return ::read(fd, block, sizeof block) == -1 && errno == EINTR;
  });
  ASSERT_TRUE(eventually([&] { return memory_.blocked_reads == 1; }));
  ::kill(pid, SIGUSR1);
  EXPECT_EQ(wait_exit(pid), 0);
  EXPECT_EQ(memory_.interrupted, 1);
}

TEST_P(SessionTest, FlushEndsOnlyWhenTheCallerIsKilled) {
  start();
  pid_t pid = child([&] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    int fd = ::open((dir_ / "stuck").c_str(), O_CREAT | O_WRONLY, 0644);
    return ::close(fd) == 0;
  });
  ASSERT_TRUE(eventually([&] { return memory_.blocked_reads == 1; }));
  ::kill(pid, SIGUSR1);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(memory_.blocked_reads, 1) << "a signal that does not kill must not cut a close short";
  ::kill(pid, SIGTERM);
  EXPECT_TRUE(WIFSIGNALED(wait_exit(pid)));
  EXPECT_EQ(memory_.interrupted, 1);
}

TEST_P(SessionTest, LocksWaitAndAreInterrupted) {
  start();
  int mine = ::open((dir_ / "l").c_str(), O_CREAT | O_RDWR, 0644);
  struct flock lock{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
  ASSERT_EQ(::fcntl(mine, F_SETLK, &lock), 0);
  auto wait_for_lock = [&](bool expect_interrupt) {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    int fd = ::open((dir_ / "l").c_str(), O_RDWR);
    struct flock other{.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
    if (::fcntl(fd, F_SETLK, &other) == 0 || errno != EAGAIN) return false;
    struct flock found = other;
    if (::fcntl(fd, F_GETLK, &found) != 0 || found.l_type != F_WRLCK || found.l_start != 10 ||
        found.l_len != 10)
      return false;
    int code = ::fcntl(fd, F_SETLKW, &other);
    return expect_interrupt ? code == -1 && errno == EINTR : code == 0;
  };
  pid_t interrupted = child([&] { return wait_for_lock(true); });
  // There is no event to see the wait by: signal until the child has ended.
  int status = 0;
  ASSERT_TRUE(eventually([&] {
    if (::waitpid(interrupted, &status, WNOHANG) == interrupted) return true;
    std::this_thread::sleep_for(milliseconds(100));
    ::kill(interrupted, SIGUSR1);
    return false;
  }));
  EXPECT_EQ(memory_.interrupted, 1);
  pid_t granted = child([&] { return wait_for_lock(false); });
  std::this_thread::sleep_for(milliseconds(100));
  lock.l_type = F_UNLCK;
  EXPECT_EQ(::fcntl(mine, F_SETLK, &lock), 0);
  EXPECT_EQ(wait_exit(granted), 0);

  ASSERT_EQ(::flock(mine, LOCK_EX), 0);
  int other = ::open((dir_ / "l").c_str(), O_RDWR);
  EXPECT_EQ(::flock(other, LOCK_SH | LOCK_NB), -1);
  std::thread waiter([&] { EXPECT_EQ(::flock(other, LOCK_SH), 0); });
  std::this_thread::sleep_for(milliseconds(50));
  ::close(mine);
  waiter.join();
  ::close(other);
}

TEST_P(SessionTest, ChangesOfOthersReachTheKernelsCache) {
  MemoryFs long_lived(std::chrono::hours(1));
  SessionOptions options;
  options.mount = {.mountpoint = dir_, .source = "CiderFS:test", .flags = {}};
  auto session = Session::start(long_lived, options);
  ASSERT_TRUE(session);
  std::ofstream(dir_ / "f") << "old";
  EXPECT_EQ(slurp(dir_ / "f"), "old");
  long_lived.replace("f", "brand new");
  EXPECT_TRUE(eventually([&] { return slurp(dir_ / "f") == "brand new"; }));

  EXPECT_FALSE(fs::exists(dir_ / "later"));  // cached as absent for an hour
  ASSERT_TRUE(long_lived.mknod({}, kRootIno, "later", S_IFREG | 0644, 0));
  long_lived.notifier({.parent = kRootIno, .name = "later"});
  EXPECT_TRUE(eventually([&] { return fs::exists(dir_ / "later"); }));
  EXPECT_TRUE((*session)->request_unmount(true));
  (*session)->wait();
}

TEST_P(SessionTest, EndsCleanlyUnderLoad) {
  for (int round = 0; round < 10; ++round) {
    start();
    std::atomic<bool> stop{false};
    std::vector<std::thread> users;
    for (int i = 0; i < 4; ++i) {
      users.emplace_back([&, i] {
        while (!stop) {
          std::string path = dir_ / ("f" + std::to_string(i));
          int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0644);
          if (fd < 0) continue;
          char block[70'000] = {};
          (void)!::write(fd, block, sizeof block);
          (void)!::pread(fd, block, sizeof block, 0);
          ::close(fd);
        }
      });
    }
    std::this_thread::sleep_for(milliseconds(30));
    // Busy most of the time; lazy always works, and the session ends with the last close.
    Status unmounted = session_->request_unmount(false);
    if (!unmounted) unmounted = session_->request_unmount(true);
    EXPECT_TRUE(unmounted);
    session_->wait();
    stop = true;
    for (auto& user : users) user.join();
    session_.reset();
    for (int i = 0; i < 4; ++i)
      ::unlink((dir_ / ("f" + std::to_string(i))).c_str());  // written beside the mount
    EXPECT_EQ(budget_.used(), 0U);
  }
}

TEST_P(SessionTest, AnAbortFreesWaitersAndEndsTheSession) {
  start();
  std::ofstream(dir_ / "blocked") << "x";
  pid_t pid = child([&] {
    int fd = ::open((dir_ / "blocked").c_str(), O_RDONLY | O_DIRECT);
    alignas(4096) static char block[4096];
    return ::read(fd, block, sizeof block) < 0;
  });
  ASSERT_TRUE(eventually([&] { return memory_.blocked_reads == 1; }));
  EXPECT_EQ(::umount2(dir_.c_str(), MNT_FORCE | MNT_DETACH), 0);
  session_->wait();
  EXPECT_EQ(wait_exit(pid), 0);
  EXPECT_EQ(memory_.interrupted, 1);
}

TEST_P(SessionTest, WritebackCacheKeepsTheData) {
  start({.writeback_cache = true});
  int fd = ::open((dir_ / "wb").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  std::string model;
  for (int i = 0; i < 20'000; ++i) {
    std::string line = "line " + std::to_string(i) + "\n";
    ASSERT_EQ(::write(fd, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    model += line;
  }
  ::close(fd);
  EXPECT_TRUE(slurp(dir_ / "wb") == model);
}

}  // namespace
}  // namespace cider::fuse
