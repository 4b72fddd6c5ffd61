// Creates, renames and unlinks files of one directory with a number of threads, each its own names, or each
// in a directory of its own. Works on any mounted file system. Prints operations a second, a line for each
// phase.
//
// usage: names_bench DIR THREADS FILES [own]
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using Operation = std::function<bool(const std::string& path)>;

bool create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
  return fd >= 0 && ::close(fd) == 0;
}

// Operations a second; ends the program where one fails.
double rate(const std::vector<std::string>& dirs, int threads, int files, const Operation& operation) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::jthread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (int i = t; i < files; i += threads) {
        const std::string path = dirs[static_cast<size_t>(t) % dirs.size()] + "/f" + std::to_string(i);
        if (operation(path)) continue;
        std::fprintf(stderr, "%s: %s\n", path.c_str(), std::strerror(errno));
        std::_Exit(1);
      }
    });
  }
  workers.clear();
  return files / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc >= 4 ? std::atoi(argv[2]) : 0;
  const int files = argc >= 4 ? std::atoi(argv[3]) : 0;
  const bool own = argc == 5 && std::strcmp(argv[4], "own") == 0;
  if (threads < 1 || files < 1 || argc > 5 || (argc == 5 && !own)) {
    std::fprintf(stderr, "usage: %s DIR THREADS FILES [own]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> dirs = {argv[1]};
  for (int t = 1; own && t < threads; ++t) dirs.push_back(argv[1] + ("." + std::to_string(t)));
  for (const std::string& dir : dirs) {
    if (::mkdir(dir.c_str(), 0755) == 0 || errno == EEXIST) continue;
    std::perror(dir.c_str());
    return 1;
  }
  const std::pair<const char*, Operation> phases[] = {
      {"create", create},
      {"rename",
       [](const std::string& path) { return ::rename(path.c_str(), (path + ".new").c_str()) == 0; }},
      {"unlink", [](const std::string& path) { return ::unlink((path + ".new").c_str()) == 0; }},
  };
  for (const auto& [name, operation] : phases)
    std::printf("%s %.1f\n", name, rate(dirs, threads, files, operation));
  return 0;
}
