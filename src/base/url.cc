#include "base/url.h"

namespace cider {

std::string without_password(const std::string& url) {
  const size_t begin = url.find("://");
  const size_t at = url.rfind('@');
  if (begin == std::string::npos || at == std::string::npos) return url;
  const size_t colon = url.find(':', begin + 3);
  if (colon == std::string::npos || colon > at) return url;
  return url.substr(0, colon + 1) + "****" + url.substr(at);
}

}  // namespace cider
