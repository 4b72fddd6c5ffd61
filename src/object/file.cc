// Objects as files below a directory, laid out as JuiceFS's `file` storage does: the key is the path.
//
// put() writes a temporary file beside the object and renames it, without fsync; sync() makes objects survive
// a power loss. The temporary name has JuiceFS's form (.jfs.<name>.tmp.<number>), so that either client's gc
// knows it as left over.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <ranges>
#include <set>
#include <unordered_set>

#include "base/direct_io.h"
#include "base/worker_pool.h"
#include "object/drivers.h"
#include "object/file_list.h"
#include "object/file_util.h"

namespace cider::object {
namespace {

// A directory that is removed again and again while we make it is somebody's mistake, not a reason to spin.
constexpr int kAttempts = 5;
constexpr size_t kMaxNameInTemp = 200;
constexpr int kSyncThreads = 16;

class FileStore final : public ObjectStore {
 public:
  explicit FileStore(std::string root) : root_(std::move(root)) {}

  std::string name() const override { return "file://" + root_; }

  Status create() override {
    std::string path = root_.substr(0, root_.size() - 1);
    TRY(make_directories(path, 0));
    return sync_directory(parent_of(path));
  }

  Status check_bucket() override {
    struct stat st;
    if (::stat(root_.c_str(), &st) == 0) return {};
    if (errno == ENOENT) return fail(ENOENT, "the directory " + root_ + " does not exist");
    return fail_errno(root_);
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token) override {
    UniqueFd file = TRY(open_object(key));
    return read_exactly(file, key, offset, out);
  }

  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token) override {
    UniqueFd file = TRY(open_object(key));
    struct stat st;
    if (::fstat(file.get(), &st) != 0) return fail_errno("stat " + path_of(key));
    auto size = static_cast<size_t>(st.st_size);
    if (size > limit) return fail(EFBIG, large_object(key, size, limit));
    std::string bytes(size, '\0');
    TRY(read_exactly(file, key, 0, std::as_writable_bytes(std::span(bytes))));
    return bytes;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token) override {
    TRY(check_key(key));
    const std::string path = path_of(key);
    for (int attempt = 1;; attempt++) {
      Status status = put_once(path, data);
      if (status) mend(key);
      if (code_of(status) != ENOENT) return status;
      if (attempt == kAttempts) return fail(EIO, status.error().message);
      TRY(make_parents(path));
    }
  }

  Status remove(std::string_view key) override {
    TRY(check_key(key));
    const std::string path = path_of(key);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
      return fail_errno("remove " + path);
    }
    mend(key);
    return {};
  }

  Result<ObjectInfo> head(std::string_view key) override {
    TRY(check_key(key));
    const std::string path = path_of(key);
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return no_entry(key, path, "stat ");
    if (!S_ISREG(st.st_mode)) return fail(ENOENT, no_object(key));
    return ObjectInfo{std::string(key), static_cast<uint64_t>(st.st_size), mtime_of(st)};
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return list_files(root_, prefix, after, limit);
  }

  Status sync(std::span<const std::string> keys) override;
  Status remove_empty_folders(std::string_view folder) override;

 private:
  Result<bool> sync_object(const std::string& key);
  Status sync_folders(const std::set<std::string>& of_objects);
  void in_parallel(size_t count, std::function<void(size_t)> work);

  // The object is written anew, or gone.
  void mend(std::string_view key) {
    std::lock_guard lock(mutex_);
    if (auto it = broken_.find(key); it != broken_.end()) broken_.erase(it);
  }

  std::string path_of(std::string_view key) const { return root_ + std::string(key); }

  std::unexpected<Error> no_entry(std::string_view key, const std::string& path, const char* what) const {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ENOENT, no_object(key));
    return fail_errno(what + path);
  }

  Result<UniqueFd> open_object(std::string_view key) const {
    TRY(check_key(key));
    const std::string path = path_of(key);
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return no_entry(key, path, "open ");
    return file;
  }

  static Status read_exactly(const UniqueFd& file, std::string_view key, uint64_t offset,
                             std::span<std::byte> out) {
    auto done = read_large(file, offset, out);
    if (!done) return fail(EIO, "read " + std::string(key) + ": " + done.error().to_string());
    if (*done == out.size()) return {};
    struct stat st;
    uint64_t has = ::fstat(file.get(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : offset + *done;
    return fail(EIO, short_object(key, has, offset + out.size()));
  }

  Status put_once(const std::string& path, const BufferChain& data) {
    size_t slash = path.rfind('/');
    std::string temp;
    UniqueFd file;
    do {
      temp = path.substr(0, slash + 1) + ".jfs." + path.substr(slash + 1, kMaxNameInTemp) + ".tmp." +
             std::to_string(::getpid()) + "." + std::to_string(next_temp_.fetch_add(1));
      file = UniqueFd(::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    } while (!file && errno == EEXIST);
    if (!file) return fail_errno("create " + temp);

    Status status = write_large(file, data, temp);
    if (status && file.close() != 0) status = fail_errno("close " + temp);
    if (status && ::rename(temp.c_str(), path.c_str()) != 0) status = fail_errno("rename to " + path);
    if (!status) ::unlink(temp.c_str());
    return status;
  }

  // Directories below the root are made on demand. The root itself is not: it missing means an unmounted
  // disk, say.
  Status make_parents(const std::string& path) {
    if (::access(root_.c_str(), F_OK) != 0 && errno == ENOENT) {
      return fail(EIO, "the bucket directory " + root_ + " does not exist");
    }
    std::string directory = parent_of(path);
    if (directory.size() < root_.size()) return {};
    {
      // What is made anew must be synced anew.
      std::lock_guard lock(mutex_);
      std::erase_if(durable_, [&](const std::string& known) {
        return directory == known || directory.starts_with(known + "/");
      });
    }
    return make_directories(directory, root_.size());
  }

  const std::string root_;  // ends in '/'
  std::atomic<uint64_t> next_temp_{0};
  std::mutex mutex_;
  std::unordered_set<std::string> durable_;  // directories whose entry in their parent has been synced
  // Objects whose sync failed on the disk. The kernel tells of a lost write once and drops the data, so a
  // later fdatasync that succeeds proves nothing.
  std::set<std::string, std::less<>> broken_;
  WorkerPool syncs_{"cider-sync", kSyncThreads};
};

// One after another, each object waits for a commit of the disk's journal of its own; many at once share one.
// Goes on after an error, so that one bad object doesn't keep the others from the disk.
Status FileStore::sync(std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(check_key(key));
  std::vector<Result<bool>> there(keys.size());
  in_parallel(keys.size(), [&](size_t i) { there[i] = sync_object(keys[i]); });
  std::set<std::string> folders;
  Status first;
  for (size_t i = 0; i < keys.size(); i++) {
    if (!there[i]) {
      if (first) first = fail(there[i].error());
    } else if (*there[i]) {
      folders.insert(parent_of(path_of(keys[i])));
    }
  }
  if (Status status = sync_folders(folders); !status && first) first = status;
  return first;
}

// Calls work(0) to work(count - 1), here and on the pool's threads. Helpers that come too late find nothing
// to do.
void FileStore::in_parallel(size_t count, std::function<void(size_t)> work) {
  struct Shared {
    std::function<void(size_t)> work;
    std::atomic<size_t> next{0};
    std::atomic<size_t> done{0};
  };
  auto shared = std::make_shared<Shared>();
  shared->work = std::move(work);
  const auto help = [shared, count] {
    for (size_t i; (i = shared->next.fetch_add(1)) < count;) {
      shared->work(i);
      if (shared->done.fetch_add(1) + 1 == count) shared->done.notify_all();
    }
  };
  for (size_t i = 1; i < std::min<size_t>(count, kSyncThreads); i++) syncs_.submit(help);
  help();
  for (size_t done; (done = shared->done.load()) < count;) shared->done.wait(done);
}

// False if it is not there: deleted meanwhile, nothing to keep.
Result<bool> FileStore::sync_object(const std::string& key) {
  const std::string path = path_of(key);
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) {
    mend(key);
    return false;
  }
  if (!file) return fail_errno("open " + path);
  {
    std::lock_guard lock(mutex_);
    if (broken_.contains(key)) return fail(EIO, "sync " + path + ": failed before");
  }
  if (::fdatasync(file.get()) == 0) return true;
  auto error = fail_errno("sync " + path);
  std::lock_guard lock(mutex_);
  broken_.insert(key);
  return error;
}

Status FileStore::sync_folders(const std::set<std::string>& of_objects) {
  std::set<std::string, std::greater<>> folders(of_objects.begin(), of_objects.end());  // children first
  // The folder of an object must be synced each time; those above it only until their entry is known to be
  // durable.
  std::vector<std::string> made_durable;
  for (const std::string& folder : of_objects) {
    std::string child = folder;
    while (child.size() > root_.size()) {
      {
        std::lock_guard lock(mutex_);
        if (durable_.contains(child)) break;
      }
      made_durable.push_back(child);
      child = parent_of(child);
      folders.insert(child);
    }
  }
  for (const std::string& folder : folders) TRY(sync_directory(folder));
  std::lock_guard lock(mutex_);
  durable_.insert(made_durable.begin(), made_durable.end());
  return {};
}

Status FileStore::remove_empty_folders(std::string_view folder) {
  if (!folder.empty()) TRY(check_key(folder));
  const std::string top = path_of(folder);
  std::vector<std::string> found;
  if (!folder.empty()) found.push_back(top);
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(top, error); !error && at != Walk(); at.increment(error)) {
    if (at->symlink_status(error).type() == std::filesystem::file_type::directory)
      found.push_back(at->path());
  }
  if (error && error.value() != ENOENT) return fail(error.value(), "list " + top + ": " + error.message());
  for (const std::string& path : found | std::views::reverse) {  // children before parents
    if (::rmdir(path.c_str()) == 0 || errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT) continue;
    return fail_errno("remove " + path);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_file(const StoreConfig& config) {
  std::string root = config.bucket;
  if (root.starts_with("file://")) root.erase(0, 7);
  if (!root.starts_with('/')) {
    return fail(EINVAL, "bucket \"" + config.bucket + "\" of storage file must be an absolute path");
  }
  if (root.find('\0') != root.npos) return fail(EINVAL, "the bucket's path has a NUL byte");
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (root != "/") root += '/';
  return std::make_unique<FileStore>(std::move(root));
}

}  // namespace cider::object
