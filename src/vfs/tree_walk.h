// Goes through a directory tree, several directories at a time.
#pragma once

#include <functional>

#include "meta/meta.h"

namespace cider::vfs {

// Calls `visit` with each entry below `dir`, in no order and from several threads; with `recursive` in
// subdirectories too. Holds one page of entries per thread and one number per directory that waits. Entries
// that vanish meanwhile are left out. Ends with the first error that `visit` or a listing answers; EINTR when
// caller.interrupt is requested.
Status walk_tree(meta::Meta& meta, const Caller& caller, Ino dir, bool recursive,
                 const std::function<Status(const meta::ListedEntry&)>& visit);

// The same for one directory, on this thread.
Status for_each_entry(meta::Meta& meta, const Caller& caller, Ino dir,
                      const std::function<Status(const meta::ListedEntry&)>& visit);

}  // namespace cider::vfs
