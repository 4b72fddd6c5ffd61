// An SFTP session: one connection to an SSH server.
#pragma once

#include <libssh/sftp.h>

#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/function_ref.h"
#include "object/folder_walk.h"
#include "object/sftp/posix_rename.h"
#include "object/sftp/sftp_address.h"

namespace cider::object {

// How to prove who we are, besides the agent of SSH_AUTH_SOCK.
struct SftpLogin {
  std::string password;
  std::string key_file;        // SSH_PRIVATE_KEY_PATH
  std::string key_passphrase;  // SSH_PRIVATE_KEY_PASSPHRASE
  // SSH_KNOWN_HOSTS: the server's key must be in this file. Empty: it must not contradict ~/.ssh/known_hosts.
  std::string known_hosts;
};

// Used by one thread at a time. Every method: ENOENT, EACCES as the server says, EIO for its other refusals
// (a full disk among them), ECONNRESET for a connection that broke, EINTR when a stop request of during()
// broke it; after the last two the session is of no use.
class SftpSession {
 public:
  static Result<std::unique_ptr<SftpSession>> open(const SftpAddress& address, const SftpLogin& login,
                                                   std::stop_token stop);
  ~SftpSession();
  SftpSession(const SftpSession&) = delete;

  // Runs `work`; a stop request breaks the connection, as nothing else ends a wait for the server.
  Status during(const std::stop_token& stop, FunctionRef<Status()> work);

  // The size of the file; reads [offset, offset + out.size()) as far as there is something, and tells of it.
  Result<uint64_t> read(const std::string& path, uint64_t offset, std::span<std::byte> out, size_t* got,
                        FunctionRef<void(size_t)> arrived);
  // A new file; synced where the server can.
  Status write_new(const std::string& path, const BufferChain& data);
  Status replace(const std::string& from, const std::string& to);  // at once
  Status remove(const std::string& path);
  Status make_folder(const std::string& path);    // no error where it is
  Status remove_folder(const std::string& path);  // ENOTEMPTY or EIO where it is not empty
  Result<FolderEntry> stat(const std::string& path);
  Result<std::vector<FolderEntry>> list(const std::string& path);  // follows links
  bool is_broken() const { return broken_; }

 private:
  struct FreeSession {
    void operator()(ssh_session session) const;
  };
  using Session = std::unique_ptr<ssh_session_struct, FreeSession>;
  struct CloseFile {
    void operator()(sftp_file file) const { sftp_close(file); }
  };
  using File = std::unique_ptr<sftp_file_struct, CloseFile>;

  SftpSession(Session session, int fd) : session_(std::move(session)), fd_(fd) {}
  Status check_host(const SftpAddress& address, const SftpLogin& login);
  Status authenticate(const SftpAddress& address, const SftpLogin& login);
  std::unexpected<Error> failure(const std::string& what);
  std::unexpected<Error> failure_of(uint32_t code, const std::string& what);

  Session session_;
  const int fd_;  // which the session closes
  sftp_session sftp_ = nullptr;
  std::unique_ptr<PosixRename> posix_rename_;
  bool can_sync_ = false;
  bool broken_ = false;
};

}  // namespace cider::object
