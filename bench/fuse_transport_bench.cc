// What the FUSE transport costs by itself: a file system in memory behind it, mounted in a temporary
// directory.
//   fuse_transport_bench [size in MiB, default 512 [threads in read() at most [io_uring]]]
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/budget.h"
#include "fuse/session.h"
#include "fuse/testing/memory_fs.h"

namespace {

using namespace cider;
using Clock = std::chrono::steady_clock;

double seconds(const std::function<void()>& work) {
  auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The client's side runs in processes of its own, without the server's descriptors.
void in_children(int count, const std::function<void(int)>& body) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    pid_t pid = fork();
    if (pid == 0) {
      close_range(3, ~0U, 0);
      body(i);
      _exit(0);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) waitpid(pid, nullptr, 0);
}

double cpu_of_server() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto to_seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtol(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

void write_file(const std::string& path, size_t mib, size_t block) {
  in_children(1, [&](int) {
    std::vector<char> data(block, 'x');
    int fd = open(path.c_str(), O_CREAT | O_WRONLY, 0644);
    for (size_t done = 0; done < mib << 20; done += block) (void)!write(fd, data.data(), block);
    close(fd);
  });
}

void sequential(const std::string& path, size_t mib, size_t block) {
  write_file(path, mib, block);  // the memory behind it is there from now on
  double cpu = cpu_of_server();
  double time = seconds([&] { write_file(path, mib, block); });
  double gib = static_cast<double>(mib) / 1024;
  std::printf("write %4zu KiB: %6.0f MiB/s, server CPU %.2f s/GiB\n", block >> 10,
              static_cast<double>(mib) / time, (cpu_of_server() - cpu) / gib);
  (void)!system("sync; echo 1 > /proc/sys/vm/drop_caches");
  cpu = cpu_of_server();
  time = seconds([&] {
    in_children(1, [&](int) {
      std::vector<char> data(block);
      int fd = open(path.c_str(), O_RDONLY);
      while (read(fd, data.data(), block) > 0) {
      }
    });
  });
  std::printf("read  %4zu KiB: %6.0f MiB/s, server CPU %.2f s/GiB\n", block >> 10,
              static_cast<double>(mib) / time, (cpu_of_server() - cpu) / gib);
  unlink(path.c_str());
}

void stats(const std::string& path, int clients, int each) {
  close(open(path.c_str(), O_CREAT | O_WRONLY, 0644));
  double cpu = cpu_of_server();
  double time = seconds([&] {
    in_children(clients, [&](int) {
      struct statx out;
      for (int i = 0; i < each; ++i)
        statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &out);
    });
  });
  double total = static_cast<double>(clients) * each;
  std::printf("getattr %2d clients: %6.1f k/s, %.1f us each, server CPU %.1f us each\n", clients,
              total / time / 1000, 1e6 * time / each, 1e6 * (cpu_of_server() - cpu) / total);
}

void creates(const std::string& dir, int clients, int each) {
  double time = seconds([&] {
    in_children(clients, [&](int client) {
      std::string own = dir + "/d" + std::to_string(client);
      mkdir(own.c_str(), 0755);
      for (int i = 0; i < each; ++i)
        close(open((own + "/" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0644));
    });
  });
  std::printf("create+close %2d clients: %5.1f k/s\n", clients, clients * each / time / 1000);
}

}  // namespace

int main(int argc, char** argv) {
  size_t mib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 512;
  char pattern[] = "/tmp/cider-fuse-bench-XXXXXX";
  if (!mkdtemp(pattern)) return 1;
  std::string dir = pattern;
  {
    MemoryBudget budget(300 << 20);
    fuse::testing::MemoryFs fs;
    fuse::SessionOptions options;
    options.mount = {.mountpoint = dir, .source = "CiderFS:bench", .flags = {}};
    options.transport.budget = &budget;
    if (argc > 2) options.transport.max_receivers = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
    options.fuse.io_uring = argc > 3 && std::string_view(argv[3]) == "io_uring";
    auto session = fuse::Session::start(fs, options);
    if (!session) {
      std::fprintf(stderr, "%s\n", session.error().to_string().c_str());
      return 1;
    }
    std::printf("resident at start: %ld KiB\n", resident_kib());
    stats(dir + "/stat", 1, 100'000);
    stats(dir + "/stat", 16, 20'000);
    creates(dir, 1, 20'000);
    creates(dir, 16, 2'000);
    sequential(dir + "/big", mib, 1 << 20);
    sequential(dir + "/medium", mib, 128 << 10);
    sequential(dir + "/small", mib / 4, 4 << 10);
    fs.clear();
    std::printf("resident at the end, files dropped: %ld KiB\n", resident_kib());
  }
  rmdir(dir.c_str());
}
