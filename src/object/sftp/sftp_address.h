// The bucket of the sftp storage.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::object {

struct SftpAddress {
  std::string user;  // empty: who runs this program
  std::string host;
  std::string port = "22";
  std::string root;  // ends in '/'; relative to the user's home unless it begins with one

  std::string shown() const;
};

// [sftp://][USER@]HOST:[PORT:]PATH/, as JuiceFS 1.4 has it (pkg/object/sftp.go); HOST may be an IPv6 address
// in brackets. EINVAL says what is wrong.
Result<SftpAddress> parse_sftp_bucket(std::string_view bucket);

}  // namespace cider::object
