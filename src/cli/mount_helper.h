// The program as mount(8) calls it, for lines in /etc/fstab: `mount.ciderfs META-URL MOUNTPOINT [-sfnv] [-o
// words]`.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace cider::cli {

// Is this what the program was called by?
bool is_mount_helper(const std::string& program);

// The words of `ciderfs` that do the same: words of -o that are options of ours become such, the others stay
// in -o. "mount -d META-URL MOUNTPOINT --buffer-size=500M -o nodev". Empty for a fake mount (-f), which does
// nothing.
//
// mount(8) leaves suid and dev out of -o, because they are its default: for root (`as_root`) they hold unless
// it says nosuid and nodev, as with every type of file system.
Result<std::vector<std::string>> translate_helper_words(const std::vector<std::string>& words, bool as_root);

}  // namespace cider::cli
