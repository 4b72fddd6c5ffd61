#include "object/drivers.h"

namespace cider::object {

Status check_key(std::string_view key) {
  auto refuse = [&](const char* why) {
    return fail(EINVAL, "object key \"" + std::string(key) + "\" is not valid: " + why);
  };
  if (key.empty()) return refuse("it is empty");
  if (key.find('\0') != key.npos) return refuse("it has a NUL byte");
  for (std::string_view rest = key;;) {
    size_t slash = rest.find('/');
    std::string_view part = rest.substr(0, slash);
    if (part.empty()) return refuse("it has an empty part");
    if (part == "." || part == "..") return refuse("it has a \".\" or \"..\" part");
    if (slash == rest.npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

std::string no_object(std::string_view key) {
  return "object " + std::string(key) + " does not exist";
}

std::string short_object(std::string_view key, uint64_t has, uint64_t wanted) {
  return "object " + std::string(key) + " has " + std::to_string(has) + " bytes, wanted " +
         std::to_string(wanted);
}

std::string large_object(std::string_view key, uint64_t has, uint64_t limit) {
  return "object " + std::string(key) + " has " + std::to_string(has) + " bytes, more than the limit of " +
         std::to_string(limit);
}

}  // namespace cider::object
