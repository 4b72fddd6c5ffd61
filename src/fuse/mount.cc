#include "fuse/mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>

#include "base/log.h"
#include "fuse/fusermount.h"

namespace cider::fuse {
namespace {

struct Word {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
  bool for_fusermount = true;  // it refuses words that it doesn't know
};

constexpr unsigned long kAtime = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

constexpr Word kGeneric[] = {
    {"rw", 0, MS_RDONLY},
    {"ro", MS_RDONLY, 0},
    {"suid", 0, MS_NOSUID},
    {"nosuid", MS_NOSUID, 0},
    {"dev", 0, MS_NODEV},
    {"nodev", MS_NODEV, 0},
    {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"sync", MS_SYNCHRONOUS, 0},
    {"dirsync", MS_DIRSYNC, 0},
    {"atime", 0, MS_NOATIME, false},
    {"noatime", MS_NOATIME, kAtime},
    // The kernel leaves access times to FUSE file systems, so that for users nothing is lost.
    {"relatime", MS_RELATIME, kAtime, false},
    {"norelatime", 0, MS_RELATIME, false},
    {"strictatime", MS_STRICTATIME, kAtime, false},
    {"nostrictatime", 0, MS_STRICTATIME, false},
    {"diratime", 0, MS_NODIRATIME, false},
    {"nodiratime", MS_NODIRATIME, 0, false},
    {"lazytime", MS_LAZYTIME, 0, false},
    {"nolazytime", 0, MS_LAZYTIME, false},
};

// For mount(8), fstab and the boot; nothing to do here.
bool is_for_others(std::string_view word) {
  for (std::string_view known : {"defaults", "auto", "noauto", "user", "users", "nouser", "owner", "group",
                                 "nofail", "_netdev", "default_permissions"}) {
    if (word == known) return true;
  }
  return word.starts_with("x-") || word.starts_with("X-") || word.starts_with("comment=");
}

Result<uint32_t> parse_number(std::string_view word, std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(EINVAL, "mount option \"" + std::string(word) + "\": not a number of bytes");
  }
  return value;
}

bool is_empty_dir(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (!dir) return true;  // mount(2) will say why
  while (const dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

// How the kernel answers for a FUSE mount whose process is gone.
bool is_dead(int code) {
  return code == ENOTCONN || code == ECONNABORTED;
}

std::string read_mountinfo() {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Takes away what a process that died has left on `mountpoint`, several times if need be.
Status detach_dead(const std::string& mountpoint) {
  while (is_dead_mount(mountpoint)) {
    Result<MountEntry> there = find_mount(read_mountinfo(), mountpoint);
    if (!there || !there->type.starts_with("fuse")) return {};  // the check of the mount point says why
    TRY(unmount(mountpoint, /*lazy=*/true));
    log::warning("A dead mount (" + there->type + ") on " + mountpoint + " is replaced");
  }
  return {};
}

Status check_mountpoint(const MountRequest& request) {
  struct stat stat;
  if (::stat(request.mountpoint.c_str(), &stat) != 0) {
    int code = errno;
    std::string what = "mount point " + request.mountpoint + ": ";
    if (code == ENOENT) return fail(code, what + "there is no such directory; create it first");
    if (is_dead(code)) return fail(code, what + "it lies in a dead mount; unmount that first");
    return fail(code, what + Error{code, {}}.to_string());
  }
  if (!S_ISDIR(stat.st_mode)) return fail(ENOTDIR, "mount point " + request.mountpoint + ": not a directory");
  if (!request.flags.nonempty && !is_empty_dir(request.mountpoint)) {
    return fail(ENOTEMPTY,
                "mount point " + request.mountpoint +
                    ": the directory is not empty; use an empty one, or -o nonempty to hide its contents");
  }
  return {};
}

// The part of the data string that is the same for mount(2) and fusermount3.
std::string common_data(const MountFlags& flags) {
  std::string data = "default_permissions";
  if (flags.allow_other) data += ",allow_other";
  if (flags.max_read) data += ",max_read=" + std::to_string(flags.max_read);
  return data;
}

Result<UniqueFd> mount_as_root(const MountRequest& request) {
  UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) {
    int code = errno;
    return fail(code, "can't open /dev/fuse: " + Error{code, {}}.to_string() +
                          " (is the kernel's fuse module loaded?)");
  }
  std::string data = "fd=" + std::to_string(device.get()) +
                     ",rootmode=40000,user_id=" + std::to_string(::getuid()) +
                     ",group_id=" + std::to_string(::getgid()) + "," + common_data(request.flags);
  if (::mount(request.source.c_str(), request.mountpoint.c_str(), "fuse.ciderfs", request.flags.flags,
              data.c_str()) != 0) {
    int code = errno;
    return fail(code, "can't mount " + request.source + " on " + request.mountpoint + ": " +
                          Error{code, {}}.to_string());
  }
  return device;
}

Result<UniqueFd> mount_as_user(const MountRequest& request) {
  std::string options =
      common_data(request.flags) + ",subtype=ciderfs,fsname=" + escape_option(request.source);
  for (const std::string& word : request.flags.words) options += "," + word;
  return fusermount(request.mountpoint, options);
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

Result<MountFlags> parse_mount_words(const std::vector<std::string>& words) {
  MountFlags parsed;
  if (std::ranges::find(words, "remount") != words.end()) {
    return fail(
        ENOTSUP,
        "mount option \"remount\": a mount can't be changed; unmount it (ciderfs umount MOUNTPOINT) and "
        "mount it again with the options wanted");
  }
  for (const std::string& word : words) {
    bool known = is_for_others(word);
    for (const Word& generic : kGeneric) {
      if (word != generic.name) continue;
      parsed.flags = (parsed.flags & ~generic.clear) | generic.set;
      if (generic.for_fusermount) parsed.words.push_back(word);
      known = true;
    }
    if (word == "allow_other") {
      parsed.allow_other = known = true;
    } else if (word == "nonempty") {
      parsed.nonempty = known = true;
    } else if (word.starts_with("max_read=")) {
      parsed.max_read = TRY(parse_number(word, std::string_view(word).substr(9)));
      known = true;
    }
    if (!known) return fail(EINVAL, "unknown mount option \"" + word + "\"");
  }
  return parsed;
}

Result<UniqueFd> mount(const MountRequest& request) {
  TRY(detach_dead(request.mountpoint));
  TRY(check_mountpoint(request));
  return ::geteuid() == 0 ? mount_as_root(request) : mount_as_user(request);
}

bool is_dead_mount(const std::string& path) {
  struct statfs stat;  // stat(2) may be answered from the kernel's cache
  return ::statfs(path.c_str(), &stat) != 0 && is_dead(errno);
}

Status unmount(const std::string& mountpoint, bool lazy) {
  if (::geteuid() != 0) return fusermount_unmount(mountpoint, lazy);
  if (::umount2(mountpoint.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) return {};
  int code = errno;
  std::string why = code == EINVAL  ? "nothing is mounted there"
                    : code == EBUSY ? "it is in use (open files, or somebody's working directory)"
                                    : Error{code, {}}.to_string();
  return fail(code, "can't unmount " + mountpoint + ": " + why);
}

Result<MountEntry> find_mount(const std::string& mountinfo, const std::string& mountpoint) {
  std::istringstream lines(mountinfo);
  std::optional<MountEntry> found;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, at, word, type;
    fields >> id >> parent >> device >> root >> at;
    if (unescape(at) != mountpoint) continue;
    while (fields >> word && word != "-") {  // options, and fields that not every mount has
    }
    fields >> type;
    found = MountEntry{device, type};  // the last one covers those before
  }
  if (!found) return fail(ENOENT, "no mount at " + mountpoint);
  return *found;
}

void abort_connection(const std::string& mountpoint) {
  Result<MountEntry> there = find_mount(read_mountinfo(), mountpoint);
  if (!there) return;
  const std::string number = there->device.substr(there->device.find(':') + 1);
  std::ofstream("/sys/fs/fuse/connections/" + number + "/abort") << "1";
}

Status set_read_ahead(const std::string& mountpoint, uint32_t kib) {
  std::string device = TRY(find_mount(read_mountinfo(), mountpoint)).device;
  std::string path = "/sys/class/bdi/" + device + "/read_ahead_kb";
  UniqueFd knob(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!knob) return fail_errno(path);
  std::string value = std::to_string(kib);
  if (::write(knob.get(), value.data(), value.size()) < 0) return fail_errno(path);
  return {};
}

}  // namespace cider::fuse
