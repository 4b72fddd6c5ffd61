#include "chunk/cache/cache_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "base/log.h"
#include "chunk/cache/sealed_file.h"

namespace cider::chunk {
namespace {

constexpr time_t kStale = 60;  // seconds; JuiceFS removes what is older, too

std::string random_uuid() {
  unsigned char b[16] = {};
  UniqueFd random(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  if (!random || ::read(random.get(), b, sizeof b) != sizeof b) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::memcpy(b, &now, sizeof b);
  }
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string out;
  char hex[3];
  for (size_t i = 0; i < sizeof b; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    std::snprintf(hex, sizeof hex, "%02x", b[i]);
    out += hex;
  }
  return out;
}

bool is_old(const std::string& path) {
  struct stat about{};
  return ::lstat(path.c_str(), &about) == 0 && about.st_mtime + kStale < ::time(nullptr);
}

bool is_folder(const std::string& path, unsigned char type) {
  if (type != DT_UNKNOWN) return type == DT_DIR;
  struct stat about{};
  return ::lstat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

}  // namespace

CacheDir::CacheDir(Options options)
    : options_(std::move(options)),
      folders_{{{options_.path + "raw/", options_.path + "rawstaging/"},
                {options_.path + "sealed/", options_.path + "sealedstaging/"}}},
      health_(options_.path, *options_.clock) {}

Status CacheDir::open() {
  TRY(make_folders());
  id_ = TRY(read_or_make_id());
  struct stat about{};
  if (::stat(options_.path.c_str(), &about) != 0) return fail_errno(options_.path);
  device_ = about.st_dev;
  refresh_space();
  tell_of_other_form();
  return {};
}

Status CacheDir::make_folders() {
  TRY(make_parents(folders(form()).raw));
  return make_parents(folders(form()).staging);
}

// They are left alone, as somebody else may use them.
void CacheDir::tell_of_other_form() const {
  const BlockForm other = options_.seal ? BlockForm::plain : BlockForm::sealed;
  const std::string& raw = folders(other).raw;
  if (::access((raw + "chunks").c_str(), F_OK) != 0) return;
  log::warning(raw + " has cached blocks of mounts " + (options_.seal ? "without" : "with") +
               " --encrypt-cache" + (options_.seal ? ", which are plain text" : "") +
               "; this mount neither uses nor removes them");
}

Result<std::string> CacheDir::read_or_make_id() {
  const std::string path = options_.path + ".lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file) return fail_errno(path);
  char text[64];
  const ssize_t n = ::read(file.get(), text, sizeof text);
  if (n < 0) return fail_errno(path);
  if (n > 0) return std::string(text, static_cast<size_t>(n));
  std::string id = random_uuid();
  if (::write(file.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size())) return fail_errno(path);
  return id;
}

Status CacheDir::make_folder(const std::string& path) {
  const unsigned read = options_.mode & 0444;
  const mode_t mode = options_.mode | read >> 2 | read >> 1;
  if (::mkdir(path.c_str(), mode) == 0) {
    ::chmod(path.c_str(), mode);  // the umask may have taken something away; the cache works without it
    return {};
  }
  return errno == EEXIST ? Status{} : fail_errno(path);
}

Status CacheDir::make_parents(std::string_view path) {
  const std::string folder(path.substr(0, path.rfind('/')));
  if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) return {};
  TRY(make_parents(folder));
  return make_folder(folder);
}

Result<UniqueFd> CacheDir::write(const char* path, const BlockName& block, const BufferChain& data,
                                 const BlockWrite& how) const {
  if (!options_.seal) return write_block_file(path, data, how);
  return write_sealed_file(path, data, *options_.key, key_of(block), how);
}

Result<BlockFile> CacheDir::open_file(const char* path, const BlockName& block, BlockForm form) const {
  if (form == BlockForm::plain) return BlockFile::open(path, block.bytes);
  return BlockFile::open_sealed(path, block.bytes, *options_.key, key_of(block));
}

Result<UniqueFd> CacheDir::store(const char* path, const BlockName& block, const BufferChain& data,
                                 BlockWrite how) {
  how.mode = options_.mode;
  return place(path, [&](const char* temporary) { return write(temporary, block, data, how); });
}

Result<UniqueFd> CacheDir::store_file(const char* path, const Buffer& bytes, BlockWrite how) {
  how.mode = options_.mode;
  how.trailer = false;
  return place(path, [&](const char* temporary) { return write_block_file(temporary, {bytes}, how); });
}

Result<UniqueFd> CacheDir::place(const char* path,
                                 FunctionRef<Result<UniqueFd>(const char* temporary)> write) {
  const std::string temporary =
      std::string(path) + "." + std::to_string(::getpid()) + "." + std::to_string(temporary_++) + ".tmp";
  // JuiceFS removes empty folders, and temporary files that look forgotten.
  constexpr int kTries = 3;
  for (int i = 0;; i++) {
    Result<UniqueFd> file = write(temporary.c_str());
    if (file && ::rename(temporary.c_str(), path) == 0) return file;
    const Error error = file ? Error{errno, "rename: " + std::string(std::strerror(errno))} : file.error();
    ::unlink(temporary.c_str());
    if (error.code != ENOENT || i + 1 == kTries) return fail(error);
    TRY(make_parents(path));
  }
}

Status CacheDir::link(const char* from, const char* to) {
  constexpr int kTries = 3;
  for (int i = 0;; i++) {
    if (::link(from, to) == 0) return {};
    const int error = errno;
    if ((error != EEXIST && error != ENOENT) || i + 1 == kTries) return fail_errno(to);
    if (error == EEXIST) {
      ::unlink(to);
    } else {
      TRY(make_parents(to));
    }
  }
}

Status CacheDir::scan(const std::string& folder,
                      const std::function<bool(const BlockName&, std::string_view path)>& found) {
  if (::access(folder.c_str(), F_OK) != 0) return errno == ENOENT ? Status{} : fail_errno(folder);
  scan_folder(folder + "chunks/", found);
  return {};
}

// False: the scan is to end. Folders that can't be listed are passed over, as they may be gone.
bool CacheDir::scan_folder(const std::string& folder,
                           const std::function<bool(const BlockName&, std::string_view path)>& found) {
  std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir(folder.c_str()), ::closedir);
  if (!list) return true;
  bool empty = true;
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    empty = false;
    const std::string path = folder + entry->d_name;
    if (is_folder(path, entry->d_type)) {
      if (!scan_folder(path + "/", found)) return false;
    } else if (name.ends_with(".tmp")) {
      if (is_old(path)) ::unlink(path.c_str());
    } else if (const auto block = parse_block_name(name)) {
      if (!found(*block, path)) return false;
    }
  }
  if (empty && is_old(folder)) ::rmdir(folder.c_str());
  return true;
}

void CacheDir::refresh_space() {
  struct statvfs about{};
  if (::statvfs(options_.path.c_str(), &about) != 0) return;
  total_ = uint64_t{about.f_blocks} * about.f_frsize;
  free_ = uint64_t{about.f_bavail} * about.f_frsize;
  inodes_ = about.f_files;
  free_inodes_ = about.f_favail;
}

CacheDir::Space CacheDir::space() const {
  return {total_, free_, inodes_, free_inodes_};
}

bool CacheDir::lacks(double part) const {
  const double ratio = options_.free_ratio * part;
  const Space now = space();
  return static_cast<double>(now.free) < ratio * static_cast<double>(now.total) ||
         static_cast<double>(now.free_inodes) < ratio * static_cast<double>(now.inodes);
}

uint64_t CacheDir::bytes_to_free() const {
  const Space now = space();
  const auto wanted = static_cast<uint64_t>(options_.free_ratio * static_cast<double>(now.total));
  return wanted > now.free ? wanted - now.free : 0;
}

uint64_t CacheDir::inodes_to_free() const {
  const Space now = space();
  const auto wanted = static_cast<uint64_t>(options_.free_ratio * static_cast<double>(now.inodes));
  return wanted > now.free_inodes ? wanted - now.free_inodes : 0;
}

int CacheDir::probe() {
  const std::string path = options_.path + "probe." + std::to_string(::getpid());
  const std::string_view text = "probe";
  std::array<char, 16> back{};
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errno;
  int error = 0;
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fdatasync(file.get()) != 0) {
    error = errno;
  } else if (::pread(file.get(), back.data(), back.size(), 0) != static_cast<ssize_t>(text.size()) ||
             std::memcmp(back.data(), text.data(), text.size()) != 0) {
    error = EIO;
  }
  ::unlink(path.c_str());
  return error;
}

Status CacheDir::check_identity(bool* emptied) {
  *emptied = false;
  struct stat about{};
  const std::string lock = options_.path + ".lock";
  UniqueFd file(::open(lock.c_str(), O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t n = file ? ::read(file.get(), text, sizeof text) : -1;
  if (n >= 0 && std::string_view(text, static_cast<size_t>(n)) == id_) return {};
  if (n > 0) return fail(ENODEV, "another cache directory is in its place");
  if (!file && errno != ENOENT) return fail_errno(lock);
  // The nearest folder that is left tells whether it is still the same disk.
  std::string above = options_.path;
  while (::stat(above.c_str(), &about) != 0 && errno == ENOENT && above.size() > 1) {
    above.resize(above.find_last_of('/', above.size() - 2) + 1);
  }
  if (about.st_dev != device_) return fail(ENODEV, "its disk is gone");
  *emptied = true;
  TRY(make_folders());
  UniqueFd made(::open(lock.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!made || ::write(made.get(), id_.data(), id_.size()) != static_cast<ssize_t>(id_.size()))
    return fail_errno(lock);
  return {};
}

}  // namespace cider::chunk
