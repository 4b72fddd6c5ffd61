// Requests about open directories.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

constexpr uint32_t kMaxListing = 1 << 20;

// Entries of a listing as the kernel reads them, one behind the other on 8-byte boundaries.
class Listing {
 public:
  explicit Listing(uint32_t size) : bytes_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}

  // False if the entry does not fit.
  bool add(const vfs::DirEntry& entry, bool plus) {
    size_t front = plus ? sizeof(fuse_entry_out) : 0;
    size_t need = front + FUSE_DIRENT_ALIGN(offsetof(fuse_dirent, name) + entry.name.size());
    if (need > size_ - used_) return false;
    char* at = bytes_.get() + used_;
    std::memset(at + need - 8, 0, 8);  // the padding
    if (plus) {
      // Without attributes (node id 0) the kernel takes the name alone.
      fuse_entry_out out = entry.plus ? encode_entry(*entry.plus) : fuse_entry_out{};
      std::memcpy(at, &out, sizeof out);
    }
    fuse_dirent dirent{.ino = entry.ino,
                       .off = entry.next_offset,
                       .namelen = static_cast<uint32_t>(entry.name.size()),
                       .type = mode_bits(entry.type) >> 12};
    std::memcpy(at + front, &dirent, offsetof(fuse_dirent, name));
    std::memcpy(at + front + offsetof(fuse_dirent, name), entry.name.data(), entry.name.size());
    used_ += need;
    return true;
  }

  std::string_view view() const { return {bytes_.get(), used_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
  size_t used_ = 0;
};

void list(Call& call, bool plus) {
  auto in = call.args.get<fuse_read_in>();
  if (!call.args.ok()) return call.malformed();
  Listing listing(std::min(in.size, kMaxListing));
  Status status = call.fs.readdir(call.caller, call.ino(), in.fh, in.offset, plus,
                                  [&](const vfs::DirEntry& entry) { return listing.add(entry, plus); });
  // What was listed before an error is told; the next call meets the error again.
  if (!status && listing.view().empty()) return call.answer(status);
  call.reply.bytes(listing.view());
}

}  // namespace

void on_opendir(Call& call) {
  auto in = call.args.get<fuse_open_in>();
  if (!call.args.ok()) return call.malformed();
  Result<vfs::OpenReply> open = call.fs.opendir(call.caller, call.ino(), static_cast<int>(in.flags));
  if (!open) return call.answer_error(open);
  if (open->stale_attr) call.reply.forget_attributes(call.ino());
  if (!call.reply.value(encode_open(*open))) call.fs.releasedir(call.caller, call.ino(), open->handle);
}

void on_readdir(Call& call) {
  list(call, false);
}
void on_readdirplus(Call& call) {
  list(call, true);
}

void on_fsyncdir(Call& call) {
  auto in = call.args.get<fuse_fsync_in>();
  if (!call.args.ok()) return call.malformed();
  call.answer(call.fs.fsyncdir(call.caller, call.ino(), in.fh));
}

void on_releasedir(Call& call) {
  auto in = call.args.get<fuse_release_in>();
  if (!call.args.ok()) return call.malformed();
  call.fs.releasedir(call.caller, call.ino(), in.fh);
  call.reply.ok();
}

}  // namespace cider::fuse
