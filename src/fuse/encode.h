// The file system's answers in the kernel's structures.
#pragma once

#include "fuse/protocol.h"
#include "vfs/file_system.h"

namespace cider::fuse {

// An inode's number means one file for ever, so one generation is enough.
inline constexpr uint64_t kGeneration = 1;

// The S_IF* bits; DT_* is this shifted down by 12.
uint32_t mode_bits(vfs::FileType type);

fuse_attr encode_attr(Ino ino, const vfs::Attr& attr);
fuse_entry_out encode_entry(const vfs::EntryReply& entry);
fuse_attr_out encode_attr_reply(const vfs::AttrReply& reply);
fuse_open_out encode_open(const vfs::OpenReply& open);
fuse_statfs_out encode_statfs(const vfs::StatFs& stat);
StatxOut encode_statx(const vfs::AttrReply& reply);

}  // namespace cider::fuse
