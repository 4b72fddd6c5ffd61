// Which errors of a commit leave it open whether it was made.
#pragma once

#include <cerrno>

namespace cider::chunk {

// Errors after which the commit may or may not have happened, or may yet succeed. All others mean that it has
// not and will not.
inline bool is_unclear(int code) {
  switch (code) {
    case EIO:
    case ETIMEDOUT:
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOMEM:
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOTCONN:
      return true;
    default:
      return false;
  }
}

}  // namespace cider::chunk
