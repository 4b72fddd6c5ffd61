// OpenSSH's extension of SFTP by which a file takes the place of another at once.
#pragma once

#include <libssh/libssh.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace cider::object {

// The library's own rename keeps to the protocol, by which a target that exists is an error. So this speaks
// SFTP on a second channel of the session (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL, section 4.3).
// Used by one thread at a time.
class PosixRename {
 public:
  // EIO where the server takes no second channel, or breaks off.
  static Result<std::unique_ptr<PosixRename>> open(ssh_session session);

  // The number of the server's answer, SSH_FX_OK among them.
  Result<uint32_t> rename(const std::string& from, const std::string& to);

 private:
  struct FreeChannel {
    void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
  };
  explicit PosixRename(ssh_channel channel) : channel_(channel) {}
  Status send(std::string_view packet);
  Result<std::string> receive();

  std::unique_ptr<ssh_channel_struct, FreeChannel> channel_;
  uint32_t next_id_ = 1;
};

}  // namespace cider::object
