// The metadata engine `rocksdb`: a volume in a folder of this machine, for one process at a time.
//
// A commit is in the log of the operating system when it returns: it survives a kill. sync() brings the log
// to the disk: what was synced survives a power loss, and with it everything before. After a power loss the
// log is read up to its first damage. Changes are made one after the other under one lock, reads run beside
// them.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

struct RocksOptions {
  bool create = false;     // makes the folder if it is missing; the volume is made by create_volume()
  bool read_only = false;  // shows what was there when it was opened; may be used beside another process
};

// All opened in this process on one folder share one database. ENOENT: there is none; EBUSY: another process
// has it; EINVAL: a path that is not absolute.
Result<std::shared_ptr<Database>> open_rocksdb(const std::string& path, const RocksOptions& options);

}  // namespace cider::meta::kv
