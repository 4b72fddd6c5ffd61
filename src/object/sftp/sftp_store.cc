// Objects as files of an SSH server: the storage "sftp", laid out as JuiceFS does it (1.4,
// pkg/object/sftp.go): the key is the path below the bucket.
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "object/drivers.h"
#include "object/file_util.h"
#include "object/sftp/sftp_session.h"

namespace cider::object {
namespace {

// sshd refuses connections when ten are logging in (MaxStartups); more also bring little.
constexpr size_t kMostSessions = 10;
constexpr int kAttempts = 3;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class SftpStore final : public ObjectStore {
 public:
  SftpStore(SftpAddress address, SftpLogin login) : address_(std::move(address)), login_(std::move(login)) {}

  std::string name() const override { return address_.shown(); }

  Status create() override {
    return run({}, [&](SftpSession& session) { return make_folders(session, folder_of_root()); });
  }
  Status check_bucket() override {
    return run({}, [&](SftpSession& session) -> Status {
      Result<FolderEntry> there = session.stat(address_.root);
      if (code_of(there) == ENOENT || (there && !there->is_folder)) {
        return fail(ENOENT, "the folder " + address_.root + " does not exist on " + address_.host);
      }
      TRY(std::move(there));
      return {};
    });
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return get_in_order(key, offset, out, [](size_t) {}, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    const Part part = TRY(read(key, offset, out, arrived, stop));
    if (part.got == out.size()) return {};
    return fail(EIO, short_object(key, part.size, offset + out.size()));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    const Part part = TRY(read(key, 0, out, [](size_t) {}, stop));
    if (part.size > out.size()) return fail(EFBIG, large_object(key, part.size, out.size()));
    return part.got;
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    const ObjectInfo info = TRY(head(key));
    if (info.size > limit) return fail(EFBIG, large_object(key, info.size, limit));
    std::string bytes(info.size, '\0');
    TRY(get(key, 0, std::as_writable_bytes(std::span(bytes)), std::move(stop)));
    return bytes;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    TRY(check_key(key));
    const std::string path = path_of(key);
    return run(stop, [&](SftpSession& session) { return put_by(session, path, data); });
  }
  Status remove(std::string_view key) override {
    TRY(check_key(key));
    return run({}, [&](SftpSession& session) -> Status {
      Status done = session.remove(path_of(key));
      if (code_of(done) == ENOENT) return {};
      if (done || session.is_broken()) return done;
      // Below what is a file nothing can be; servers call that a failure.
      Result<FolderEntry> there = session.stat(path_of(key));
      return there ? done : Status{};
    });
  }
  Result<ObjectInfo> head(std::string_view key) override {
    TRY(check_key(key));
    ObjectInfo info{std::string(key), 0, {}};
    TRY(run({}, [&](SftpSession& session) -> Status {
      const FolderEntry entry = TRY(or_missing(session, key, session.stat(path_of(key))));
      if (entry.is_folder) return fail(ENOENT, no_object(key));
      info.size = entry.size;
      info.mtime = entry.mtime;
      return {};
    }));
    return info;
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override;
  Status remove_empty_folders(std::string_view folder) override;

 private:
  struct Part {
    uint64_t size = 0;
    size_t got = 0;
  };

  std::string path_of(std::string_view key) const { return address_.root + std::string(key); }
  std::string folder_of_root() const {
    std::string folder = address_.root;
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    return folder;
  }

  // A file in the place of a folder is a failure by the protocol, as is all that has no name of its own.
  template <class T>
  Result<T> or_missing(SftpSession& session, std::string_view key, Result<T> done) {
    if (code_of(done) == ENOENT ||
        (code_of(done) == EIO && !session.is_broken() && is_below_file(session, key))) {
      return fail(ENOENT, no_object(key));
    }
    return done;
  }
  bool is_below_file(SftpSession& session, std::string_view key) {
    for (size_t slash = key.rfind('/'); slash != key.npos && slash > 0; slash = key.rfind('/', slash - 1)) {
      Result<FolderEntry> above = session.stat(path_of(key.substr(0, slash)));
      if (above) return !above->is_folder;
    }
    return false;
  }

  Result<Part> read(std::string_view key, uint64_t offset, std::span<std::byte> out,
                    FunctionRef<void(size_t)> arrived, const std::stop_token& stop) {
    TRY(check_key(key));
    Part part;
    TRY(run(stop, [&](SftpSession& session) -> Status {
      part.size = TRY(or_missing(session, key, session.read(path_of(key), offset, out, &part.got, arrived)));
      return {};
    }));
    return part;
  }

  Status make_folders(SftpSession& session, const std::string& path) {
    Status made = session.make_folder(path);
    if (code_of(made) != ENOENT) return made;
    const size_t slash = path.rfind('/');
    if (slash == path.npos || slash == 0) return made;
    TRY(make_folders(session, path.substr(0, slash)));
    return session.make_folder(path);
  }
  Status put_by(SftpSession& session, const std::string& path, const BufferChain& data);

  Status run(const std::stop_token& stop, FunctionRef<Status(SftpSession&)> work);
  Result<std::unique_ptr<SftpSession>> take(bool fresh, bool* kept, const std::stop_token& stop);
  void put_back(std::unique_ptr<SftpSession> session);

  const SftpAddress address_;
  const SftpLogin login_;
  std::mutex mutex_;
  std::condition_variable_any room_;
  std::vector<std::unique_ptr<SftpSession>> idle_;
  size_t sessions_ = 0;
};

Result<std::unique_ptr<SftpSession>> SftpStore::take(bool fresh, bool* kept, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!room_.wait(lock, stop, [&] { return !idle_.empty() || sessions_ < kMostSessions; }))
    return fail(EINTR);
  if (!idle_.empty()) {
    auto session = std::move(idle_.back());
    idle_.pop_back();
    if (!fresh) {
      *kept = true;
      return session;
    }
    sessions_--;
  }
  sessions_++;
  lock.unlock();
  auto opened = SftpSession::open(address_, login_, stop);
  if (!opened) put_back(nullptr);
  return opened;
}

void SftpStore::put_back(std::unique_ptr<SftpSession> session) {
  std::lock_guard lock(mutex_);
  if (session && !session->is_broken()) {
    idle_.push_back(std::move(session));
  } else {
    sessions_--;
  }
  room_.notify_one();
}

// A session that was kept may have been closed by the server meanwhile; what is asked may be asked again.
Status SftpStore::run(const std::stop_token& stop, FunctionRef<Status(SftpSession&)> work) {
  for (bool fresh = false;; fresh = true) {
    bool kept = false;
    std::unique_ptr<SftpSession> session = TRY(take(fresh, &kept, stop));
    Status done = session->during(stop, [&] { return work(*session); });
    const bool again = kept && session->is_broken() && code_of(done) == ECONNRESET;
    put_back(std::move(session));
    if (!again) return done;
  }
}

Status SftpStore::put_by(SftpSession& session, const std::string& path, const BufferChain& data) {
  const std::string folder = parent_of(path);
  for (int attempt = 1;; attempt++) {
    const std::string temp = temporary_name(path);
    Status done = session.write_new(temp, data);
    if (done) done = session.replace(temp, path);
    if (!done && !session.is_broken() && code_of(done) != ENOENT) (void)session.remove(temp);
    if (code_of(done) != ENOENT) return done;
    if (attempt == kAttempts) return fail(EIO, done.error().message);
    // Folders below the root are made on demand; the root missing means an unmounted disk, say.
    if (code_of(session.stat(address_.root)) == ENOENT) {
      return fail(EIO, "the folder " + address_.root + " does not exist on " + address_.host);
    }
    TRY(make_folders(session, folder));
  }
}

Result<std::vector<ObjectInfo>> SftpStore::list(std::string_view prefix, std::string_view after,
                                                size_t limit) {
  std::vector<ObjectInfo> found;
  TRY(run({}, [&](SftpSession& session) -> Status {
    const auto list_folder = [&](const std::string& folder) -> Result<std::vector<FolderEntry>> {
      auto entries = session.list(address_.root + folder);
      const bool gone = code_of(entries) == ENOENT ||
                        (code_of(entries) == EIO && !session.is_broken() && is_below_file(session, folder));
      if (gone) return std::vector<FolderEntry>();
      return entries;
    };
    found = TRY(walk_folders(list_folder, prefix, after, limit));
    return {};
  }));
  return found;
}

Status SftpStore::remove_empty_folders(std::string_view folder) {
  if (!folder.empty()) TRY(check_key(folder));
  return run({}, [&](SftpSession& session) -> Status {
    // Answers whether the folder (its path ends in '/') is empty now.
    std::function<Result<bool>(const std::string&, int)> empty = [&](const std::string& path,
                                                                     int depth) -> Result<bool> {
      auto entries = session.list(path);
      if (code_of(entries) == ENOENT) return true;
      bool all_gone = true;
      for (const FolderEntry& entry : TRY(std::move(entries))) {
        const std::string below = path + entry.name + "/";
        bool gone = entry.is_folder && depth < 64 && TRY(empty(below, depth + 1));
        if (gone) {
          Status done = session.remove_folder(below);
          if (session.is_broken()) return fail(std::move(done).error());
          gone = done.has_value() || code_of(done) == ENOENT;
        }
        all_gone = all_gone && gone;
      }
      return all_gone;
    };
    const std::string top = folder.empty() ? address_.root : path_of(folder) + "/";
    const bool gone = TRY(empty(top, 0));
    if (gone && !folder.empty()) (void)session.remove_folder(top);
    return {};
  });
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_sftp(const StoreConfig& config) {
  SftpAddress address = TRY(parse_sftp_bucket(config.bucket));
  if (!config.access_key.empty()) address.user = config.access_key;
  return std::make_unique<SftpStore>(
      std::move(address),
      SftpLogin{config.secret_key, environment("SSH_PRIVATE_KEY_PATH"),
                environment("SSH_PRIVATE_KEY_PASSPHRASE"), environment("SSH_KNOWN_HOSTS")});
}

}  // namespace cider::object
