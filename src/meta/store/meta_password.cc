#include "meta/store/meta_password.h"

#include <cstdlib>
#include <fstream>

namespace cider::meta {

Result<std::string> password_from_environment() {
  const char* password = std::getenv("META_PASSWORD");
  if (password != nullptr && *password != 0) return std::string(password);
  const char* path = std::getenv("META_PASSWORD_FILE");
  if (path == nullptr || *path == 0) return std::string{};
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line))
    return fail(EINVAL, std::string("META_PASSWORD_FILE ") + path + " cannot be read");
  return line;
}

}  // namespace cider::meta
