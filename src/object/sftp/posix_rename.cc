#include "object/sftp/posix_rename.h"

#include "base/bytes.h"

namespace cider::object {
namespace {

constexpr uint8_t kInit = 1;
constexpr uint8_t kVersion = 2;
constexpr uint8_t kStatus = 101;
constexpr uint8_t kExtended = 200;
constexpr uint32_t kProtocol = 3;
constexpr uint32_t kLargest = 64 << 10;  // of an answer, which has a message at most

void add_text(ByteWriter& packet, std::string_view text) {
  packet.u32(static_cast<uint32_t>(text.size())).raw(text);
}

}  // namespace

Result<std::unique_ptr<PosixRename>> PosixRename::open(ssh_session session) {
  ssh_channel channel = ssh_channel_new(session);
  if (!channel) return fail(ENOMEM);
  std::unique_ptr<PosixRename> opened(new PosixRename(channel));
  if (ssh_channel_open_session(channel) != SSH_OK || ssh_channel_request_sftp(channel) != SSH_OK) {
    return fail(EIO, std::string("sftp: the server takes no second channel: ") + ssh_get_error(session));
  }
  TRY(opened->send(ByteWriter().u8(kInit).u32(kProtocol).take()));
  const std::string answer = TRY(opened->receive());
  if (answer.empty() || answer[0] != kVersion)
    return fail(EIO, "sftp: the server does not begin with its version");
  return opened;
}

Result<uint32_t> PosixRename::rename(const std::string& from, const std::string& to) {
  const uint32_t id = next_id_++;
  ByteWriter packet;
  packet.u8(kExtended).u32(id);
  for (std::string_view text :
       {std::string_view("posix-rename@openssh.com"), std::string_view(from), std::string_view(to)}) {
    add_text(packet, text);
  }
  TRY(send(packet.take()));
  const std::string answer = TRY(receive());
  ByteReader reader(answer);
  const uint8_t type = reader.u8();
  const uint32_t of = reader.u32();
  const uint32_t code = reader.u32();
  if (!reader.ok() || type != kStatus || of != id)
    return fail(EIO, "sftp: the server answers something else to a rename");
  return code;
}

Status PosixRename::send(std::string_view packet) {
  const std::string whole = ByteWriter().u32(static_cast<uint32_t>(packet.size())).raw(packet).take();
  for (size_t done = 0; done < whole.size();) {
    const int n =
        ssh_channel_write(channel_.get(), whole.data() + done, static_cast<uint32_t>(whole.size() - done));
    if (n <= 0) return fail(EIO, "sftp: the connection broke");
    done += static_cast<size_t>(n);
  }
  return {};
}

Result<std::string> PosixRename::receive() {
  const auto read = [&](size_t size) -> Result<std::string> {
    std::string bytes(size, '\0');
    for (size_t done = 0; done < size;) {
      const int n =
          ssh_channel_read(channel_.get(), bytes.data() + done, static_cast<uint32_t>(size - done), 0);
      if (n <= 0) return fail(EIO, "sftp: the connection broke");
      done += static_cast<size_t>(n);
    }
    return bytes;
  };
  const std::string head = TRY(read(4));
  const uint32_t size = ByteReader(head).u32();
  if (size > kLargest) return fail(EIO, "sftp: the server sends what is no answer");
  return read(size);
}

}  // namespace cider::object
