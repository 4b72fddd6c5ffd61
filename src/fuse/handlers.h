// One function for each request of the kernel: decode, call the file system, answer. By area: names, files,
// directories, attributes, locks.
#pragma once

#include <memory>

#include "fuse/call.h"

namespace cider::fuse {

// handlers_names.cc
void on_lookup(Call& call);
void on_mknod(Call& call);
void on_mkdir(Call& call);
void on_symlink(Call& call);
void on_link(Call& call);
void on_unlink(Call& call);
void on_rmdir(Call& call);
void on_rename(Call& call);
void on_rename2(Call& call);
void on_readlink(Call& call);

// handlers_attrs.cc
void on_getattr(Call& call);
void on_statx(Call& call);
void on_setattr(Call& call);
void on_access(Call& call);
void on_statfs(Call& call);
void on_setxattr(Call& call, bool extended);
void on_getxattr(Call& call);
void on_listxattr(Call& call);
void on_removexattr(Call& call);

// handlers_files.cc
void on_open(Call& call);
void on_create(Call& call);
void on_tmpfile(Call& call);
void on_read(Call& call);
void on_write(Call& call, std::unique_ptr<Pending> pending);
void on_flush(Call& call);
void on_fsync(Call& call);
void on_release(Call& call);
void on_fallocate(Call& call);
void on_lseek(Call& call);
void on_copy_file_range(Call& call);
void on_copy_file_range_64(Call& call);
void on_ioctl(Call& call);

// handlers_dirs.cc
void on_opendir(Call& call);
void on_readdir(Call& call);
void on_readdirplus(Call& call);
void on_fsyncdir(Call& call);
void on_releasedir(Call& call);

// handlers_locks.cc
void on_getlk(Call& call);
void on_setlk(Call& call, std::unique_ptr<Pending> pending);  // SETLKW, too

}  // namespace cider::fuse
