#include "object/sftp/sftp_session.h"

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "base/log.h"
#include "object/socket.h"

namespace cider::object {
namespace {

constexpr Millis kConnectLimit{5'000};
constexpr long kHandshakeSeconds = 10;
// What every server must take in one message, and how many reads are asked for ahead.
constexpr size_t kPiece = 32 << 10;
constexpr size_t kAhead = 32;

void set_socket_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

std::string fingerprint(ssh_session session) {
  ssh_key key = nullptr;
  if (ssh_get_server_publickey(session, &key) != SSH_OK) return "unknown";
  unsigned char* hash = nullptr;
  size_t size = 0;
  std::string text = "unknown";
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) == 0) {
    if (char* shown = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size)) {
      text = shown;
      ssh_string_free_char(shown);
    }
    ssh_clean_pubkey_hash(&hash);
  }
  ssh_key_free(key);
  return text;
}

FolderEntry entry_of(const sftp_attributes_struct& attributes) {
  FolderEntry entry;
  if (attributes.name) entry.name = attributes.name;
  entry.is_folder = attributes.type == SSH_FILEXFER_TYPE_DIRECTORY;
  entry.size = attributes.size;
  entry.mtime = {static_cast<int64_t>(attributes.mtime), 0};
  return entry;
}

using Attributes = std::unique_ptr<sftp_attributes_struct, void (*)(sftp_attributes)>;

}  // namespace

void SftpSession::FreeSession::operator()(ssh_session session) const {
  ssh_silent_disconnect(session);
  ssh_free(session);
}

SftpSession::~SftpSession() {
  posix_rename_.reset();
  if (sftp_) sftp_free(sftp_);
}

Result<std::unique_ptr<SftpSession>> SftpSession::open(const SftpAddress& address, const SftpLogin& login,
                                                       std::stop_token stop) {
  Waiter waiter(stop);
  UniqueFd socket = TRY(connect_tcp(address.host, address.port, kConnectLimit, waiter));
  set_socket_blocking(socket.get());
  ssh_session raw = ssh_new();
  if (!raw) return fail(ENOMEM);
  const socket_t fd = socket.release();
  std::unique_ptr<SftpSession> opened(new SftpSession(Session(raw), fd));
  const unsigned port = static_cast<unsigned>(std::stoi(address.port));
  const int no = 0;
  ssh_options_set(raw, SSH_OPTIONS_HOST, address.host.c_str());
  ssh_options_set(raw, SSH_OPTIONS_PORT, &port);
  ssh_options_set(raw, SSH_OPTIONS_FD, &fd);
  ssh_options_set(raw, SSH_OPTIONS_TIMEOUT, &kHandshakeSeconds);
  ssh_options_set(raw, SSH_OPTIONS_PROCESS_CONFIG, &no);
  if (!address.user.empty()) ssh_options_set(raw, SSH_OPTIONS_USER, address.user.c_str());
  if (!login.known_hosts.empty()) ssh_options_set(raw, SSH_OPTIONS_KNOWNHOSTS, login.known_hosts.c_str());
  TRY(opened->during(stop, [&]() -> Status {
    if (ssh_connect(raw) != SSH_OK) {
      return fail(ECONNRESET, address.shown() + ": " + ssh_get_error(raw));
    }
    TRY(opened->check_host(address, login));
    TRY(opened->authenticate(address, login));
    opened->sftp_ = sftp_new(raw);
    if (!opened->sftp_ || sftp_init(opened->sftp_) != SSH_OK) {
      return fail(EIO, address.shown() + ": the server has no SFTP: " + ssh_get_error(raw));
    }
    return {};
  }));
  opened->can_sync_ = sftp_extension_supported(opened->sftp_, "fsync@openssh.com", "1");
  return opened;
}

Status SftpSession::check_host(const SftpAddress& address, const SftpLogin& login) {
  ssh_session session = session_.get();
  const ssh_known_hosts_e known = ssh_session_is_known_server(session);
  if (known == SSH_KNOWN_HOSTS_OK) return {};
  const std::string key = fingerprint(session);
  const std::string file = login.known_hosts.empty() ? "~/.ssh/known_hosts" : login.known_hosts;
  if (known == SSH_KNOWN_HOSTS_CHANGED || known == SSH_KNOWN_HOSTS_OTHER) {
    return fail(EACCES, "the SSH server " + address.host + " shows the key " + key + ", but " + file +
                            " has another for it; if that is right, remove the old one");
  }
  if (!login.known_hosts.empty()) {
    return fail(EACCES, "the SSH server " + address.host + " shows the key " + key + ", which is not in " +
                            file + " (SSH_KNOWN_HOSTS)");
  }
  log::debug("the key of the SSH server " + address.host + " is not known: " + key);
  return {};
}

Status SftpSession::authenticate(const SftpAddress& address, const SftpLogin& login) {
  ssh_session session = session_.get();
  int done = ssh_userauth_none(session, nullptr);
  const int methods = ssh_userauth_list(session, nullptr);
  if (done != SSH_AUTH_SUCCESS && !login.key_file.empty()) {
    const char* passphrase = login.key_passphrase.empty() ? nullptr : login.key_passphrase.c_str();
    ssh_key key = nullptr;
    // Without a passphrase libssh would ask on the terminal; the callback keeps it from that.
    const auto none = [](const char*, char*, size_t, int, int, void*) { return -1; };
    if (ssh_pki_import_privkey_file(login.key_file.c_str(), passphrase, none, nullptr, &key) != SSH_OK) {
      return fail(EACCES, "the key file " + login.key_file +
                              " (SSH_PRIVATE_KEY_PATH) can't be read, or its passphrase "
                              "(SSH_PRIVATE_KEY_PASSPHRASE) is wrong");
    }
    done = ssh_userauth_publickey(session, nullptr, key);
    ssh_key_free(key);
  }
  if (done != SSH_AUTH_SUCCESS && std::getenv("SSH_AUTH_SOCK")) done = ssh_userauth_agent(session, nullptr);
  if (done != SSH_AUTH_SUCCESS && !login.password.empty() && (methods & SSH_AUTH_METHOD_PASSWORD)) {
    done = ssh_userauth_password(session, nullptr, login.password.c_str());
  }
  if (done != SSH_AUTH_SUCCESS && !login.password.empty() && (methods & SSH_AUTH_METHOD_INTERACTIVE)) {
    done = ssh_userauth_kbdint(session, nullptr, nullptr);
    while (done == SSH_AUTH_INFO) {
      for (int i = 0; i < ssh_userauth_kbdint_getnprompts(session); i++) {
        ssh_userauth_kbdint_setanswer(session, static_cast<unsigned>(i), login.password.c_str());
      }
      done = ssh_userauth_kbdint(session, nullptr, nullptr);
    }
  }
  if (done == SSH_AUTH_SUCCESS) return {};
  if (!ssh_is_connected(session)) return fail(ECONNRESET, "the SSH server closed the connection");
  return fail(EACCES, "the SSH server " + address.host + " refuses the user" +
                          (address.user.empty() ? "" : " " + address.user) +
                          "; give the password as secret key, or a key file by SSH_PRIVATE_KEY_PATH");
}

Status SftpSession::during(const std::stop_token& stop, FunctionRef<Status()> work) {
  Status done;
  {
    std::stop_callback break_off(stop, [this] { ::shutdown(fd_, SHUT_RDWR); });
    done = work();
  }
  if (done) return done;
  if (done.error().code == ECONNRESET) broken_ = true;
  if (broken_ && stop.stop_requested()) return fail(EINTR);
  return done;
}

std::unexpected<Error> SftpSession::failure(const std::string& what) {
  return failure_of(sftp_ ? static_cast<uint32_t>(sftp_get_error(sftp_)) : SSH_FX_CONNECTION_LOST, what);
}

std::unexpected<Error> SftpSession::failure_of(uint32_t code, const std::string& what) {
  const auto answer = [&](int number, const char* why) { return fail(number, "sftp: " + what + ": " + why); };
  if (!ssh_is_connected(session_.get())) {
    broken_ = true;
    return answer(ECONNRESET, "the connection broke");
  }
  switch (code) {
    case SSH_FX_NO_SUCH_FILE:
    case SSH_FX_NO_SUCH_PATH:
      return answer(ENOENT, "not found");
    case SSH_FX_PERMISSION_DENIED:
      return answer(EACCES, "permission denied");
    case SSH_FX_WRITE_PROTECT:
      return answer(EROFS, "read-only");
    case SSH_FX_FILE_ALREADY_EXISTS:
      return answer(EEXIST, "exists");
    case SSH_FX_FAILURE:
      return answer(EIO, "the server refuses (a full disk?)");
    default:
      broken_ = true;
      return answer(ECONNRESET, ssh_get_error(session_.get()));
  }
}

Result<uint64_t> SftpSession::read(const std::string& path, uint64_t offset, std::span<std::byte> out,
                                   size_t* got, FunctionRef<void(size_t)> arrived) {
  File file(sftp_open(sftp_, path.c_str(), O_RDONLY, 0));
  if (!file) return failure("open " + path);
  Attributes attributes(sftp_fstat(file.get()), &sftp_attributes_free);
  if (!attributes) return failure("stat " + path);
  if (attributes->type == SSH_FILEXFER_TYPE_DIRECTORY) return fail(ENOENT, path + " is a folder");
  const uint64_t size = attributes->size;
  *got = 0;
  const size_t there =
      offset >= size ? 0 : static_cast<size_t>(std::min<uint64_t>(out.size(), size - offset));
  struct Asked {
    uint32_t id;
    size_t bytes;
  };
  std::deque<Asked> asked;
  size_t next = 0;  // not yet asked for
  if (sftp_seek64(file.get(), offset) != 0) return failure("seek in " + path);
  while (*got < there) {
    while (next < there && asked.size() < kAhead) {
      const size_t bytes = std::min(kPiece, there - next);
      const int id = sftp_async_read_begin(file.get(), static_cast<uint32_t>(bytes));
      if (id < 0) return failure("read " + path);
      asked.push_back({static_cast<uint32_t>(id), bytes});
      next += bytes;
    }
    const Asked first = asked.front();
    asked.pop_front();
    const int n =
        sftp_async_read(file.get(), out.data() + *got, static_cast<uint32_t>(first.bytes), first.id);
    if (n < 0) return failure("read " + path);
    if (static_cast<size_t>(n) != first.bytes) {
      // What was asked for ahead is not in its place. The file was cut, or the server gives little at a time.
      broken_ = true;
      return fail(EIO, "sftp: read " + path + ": " + std::to_string(n) + " bytes came instead of " +
                           std::to_string(first.bytes));
    }
    *got += first.bytes;
    arrived(*got);
  }
  return size;
}

Status SftpSession::write_new(const std::string& path, const BufferChain& data) {
  File file(sftp_open(sftp_, path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
  if (!file) return failure("create " + path);
  for (const Buffer& piece : data) {
    for (size_t done = 0; done < piece.size();) {
      const ssize_t n = sftp_write(file.get(), piece.data() + done, std::min(kPiece, piece.size() - done));
      if (n <= 0) return failure("write " + path);
      done += static_cast<size_t>(n);
    }
  }
  if (can_sync_ && sftp_fsync(file.get()) != 0) return failure("sync " + path);
  if (sftp_close(file.release()) != SSH_OK) return failure("close " + path);
  return {};
}

// By the protocol itself a target that exists is an error; nearly all are new. Else by OpenSSH's extension,
// at once; without that the old one must go first.
Status SftpSession::replace(const std::string& from, const std::string& to) {
  if (sftp_rename(sftp_, from.c_str(), to.c_str()) == 0) return {};
  auto error = failure("rename to " + to);
  if (broken_ || error.error().code == ENOENT) return error;
  if (sftp_extension_supported(sftp_, "posix-rename@openssh.com", "1")) {
    if (!posix_rename_) posix_rename_ = TRY(PosixRename::open(session_.get()));
    Result<uint32_t> answer = posix_rename_->rename(from, to);
    if (!answer) {
      broken_ = true;
      return fail(ECONNRESET, answer.error().message);
    }
    if (*answer == SSH_FX_OK) return {};
    return failure_of(*answer, "rename to " + to);
  }
  if (sftp_unlink(sftp_, to.c_str()) != 0) return error;
  if (sftp_rename(sftp_, from.c_str(), to.c_str()) == 0) return {};
  return failure("rename to " + to);
}

Status SftpSession::remove(const std::string& path) {
  if (sftp_unlink(sftp_, path.c_str()) == 0) return {};
  return failure("remove " + path);
}

Status SftpSession::make_folder(const std::string& path) {
  if (sftp_mkdir(sftp_, path.c_str(), 0777) == 0) return {};
  auto error = failure("make the folder " + path);
  if (broken_) return error;
  Result<FolderEntry> there = stat(path);
  if (there && there->is_folder) return {};
  return error;
}

Status SftpSession::remove_folder(const std::string& path) {
  if (sftp_rmdir(sftp_, path.c_str()) == 0) return {};
  return failure("remove the folder " + path);
}

Result<FolderEntry> SftpSession::stat(const std::string& path) {
  Attributes found(sftp_stat(sftp_, path.c_str()), &sftp_attributes_free);
  if (!found) return failure("stat " + path);
  return entry_of(*found);
}

Result<std::vector<FolderEntry>> SftpSession::list(const std::string& path) {
  std::unique_ptr<sftp_dir_struct, int (*)(sftp_dir)> dir(sftp_opendir(sftp_, path.c_str()), &sftp_closedir);
  if (!dir) return failure("list " + path);
  std::vector<FolderEntry> entries;
  std::vector<std::string> links;
  while (Attributes next{sftp_readdir(sftp_, dir.get()), &sftp_attributes_free}) {
    FolderEntry entry = entry_of(*next);
    if (entry.name == "." || entry.name == "..") continue;
    if (next->type == SSH_FILEXFER_TYPE_SYMLINK) links.push_back(entry.name);
    if (entry.is_folder || next->type == SSH_FILEXFER_TYPE_REGULAR) entries.push_back(std::move(entry));
  }
  if (!sftp_dir_eof(dir.get())) return failure("list " + path);
  dir.reset();
  for (std::string& name : links) {
    Attributes target(sftp_stat(sftp_, (path + name).c_str()), &sftp_attributes_free);
    if (!target) continue;  // it leads nowhere
    FolderEntry entry = entry_of(*target);
    entry.name = std::move(name);
    if (entry.is_folder || target->type == SSH_FILEXFER_TYPE_REGULAR) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace cider::object
