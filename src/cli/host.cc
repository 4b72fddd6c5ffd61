#include "cli/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "base/log.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace cider::cli {
namespace {

constexpr int kArenas = 2;
constexpr rlim_t kWantedFiles = 1'000'000;

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  rlimit wanted = {std::max(limit.rlim_cur, kWantedFiles), std::max(limit.rlim_max, kWantedFiles)};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;  // root
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warning("can't raise the limit of open files");
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

std::vector<std::string> ip_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, ::freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const void* address = nullptr;
    if (each->ifa_addr->sa_family == AF_INET)
      address = &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr;
    if (each->ifa_addr->sa_family == AF_INET6)
      address = &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
    char text[INET6_ADDRSTRLEN];
    if (address == nullptr || ::inet_ntop(each->ifa_addr->sa_family, address, text, sizeof text) == nullptr)
      continue;
    addresses.emplace_back(text);
  }
  return addresses;
}

void prepare_mount_process() {
  raise_open_files();
  ::mallopt(M_ARENA_MAX, kArenas);
  ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);  // without CAP_SYS_RESOURCE it fails, and we go on without
  ::signal(SIGPIPE, SIG_IGN);
  if (int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC); null >= 0) {
    if (null != STDIN_FILENO) {
      ::dup2(null, STDIN_FILENO);
      ::close(null);
    }
  }
  if (::chdir("/") != 0) log::warning("can't go to /");
}

void disable_huge_pages() {
  if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) log::warning("can't disable transparent huge pages");
}

}  // namespace cider::cli
