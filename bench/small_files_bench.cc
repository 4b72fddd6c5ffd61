// Writes or reads many small files in one directory with a number of threads, as programs do: open, one write
// or read, close. Works on any mounted file system. Prints files a second.
//
// usage: small_files_bench DIR write|read THREADS FILES BYTES [in-order|random]
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Plan {
  std::string dir;
  bool write = false;
  int threads = 1;
  int files = 0;
  size_t bytes = 0;
  bool random = false;
};

// Noise, which does not compress to nothing. Made once, so that the time is the file system's.
std::vector<char> noise(size_t bytes) {
  std::vector<char> content(bytes);
  std::minstd_rand random;
  for (size_t i = 0; i + 4 <= bytes; i += 4) {
    const auto word = static_cast<uint32_t>(random());
    std::memcpy(content.data() + i, &word, 4);
  }
  return content;
}

// Each page tells which file it is of.
void stamp(std::vector<char>& content, int file) {
  constexpr size_t kPage = 4096;
  for (size_t at = 0; at + sizeof file <= content.size(); at += kPage)
    std::memcpy(content.data() + at, &file, sizeof file);
}

bool write_file(const std::string& path, const std::vector<char>& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return false;
  const bool written = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  return ::close(fd) == 0 && written;
}

bool read_file(const std::string& path, const std::vector<char>& expected, std::vector<char>& content) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  if (fd < 0) return false;
  size_t got = 0;
  while (got < content.size()) {
    const ssize_t n = ::read(fd, content.data() + got, content.size() - got);
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  ::close(fd);
  return got == expected.size() && content == expected;
}

void work(const Plan& plan, std::vector<char> content, const std::vector<int>& order,
          std::atomic<size_t>& next, std::atomic<int>& bad) {
  std::vector<char> seen(plan.bytes);
  for (size_t i; (i = next.fetch_add(1)) < order.size();) {
    const int file = order[i];
    const std::string path = plan.dir + "/f" + std::to_string(file);
    stamp(content, file);
    const bool done = plan.write ? write_file(path, content) : read_file(path, content, seen);
    if (!done && bad.fetch_add(1) == 0) std::fprintf(stderr, "%s: %s\n", path.c_str(), std::strerror(errno));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: %s DIR write|read THREADS FILES BYTES [in-order|random]\n", argv[0]);
    return 2;
  }
  Plan plan{argv[1],
            std::strcmp(argv[2], "write") == 0,
            std::atoi(argv[3]),
            std::atoi(argv[4]),
            std::strtoull(argv[5], nullptr, 10),
            argc > 6 && std::strcmp(argv[6], "random") == 0};
  ::mkdir(plan.dir.c_str(), 0755);
  std::vector<int> order(static_cast<size_t>(plan.files));
  std::iota(order.begin(), order.end(), 0);
  if (plan.random) std::shuffle(order.begin(), order.end(), std::mt19937(7));

  const std::vector<char> content = noise(plan.bytes);
  std::atomic<size_t> next{0};
  std::atomic<int> bad{0};
  const auto began = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < plan.threads; i++)
      threads.emplace_back([&] { work(plan, content, order, next, bad); });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%.1f\n", plan.files / seconds);
  if (bad > 0) std::fprintf(stderr, "%d of %d files failed\n", bad.load(), plan.files);
  return bad > 0 ? 1 : 0;
}
