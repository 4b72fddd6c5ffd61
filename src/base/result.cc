#include "base/result.h"

#include <cstring>

namespace cider {

std::string Error::to_string() const {
  if (message.empty()) return std::strerror(code);
  return message;
}

std::unexpected<Error> fail_errno(std::string_view what) {
  int code = errno;
  return fail(code, std::string(what) + ": " + std::strerror(code));
}

}  // namespace cider
