// What proxies and servers of tests do with sockets. For tests only.
#pragma once

#include <string>
#include <string_view>

namespace cider::testing {

bool readable(int fd, int milliseconds);  // within that time; also where the other end is gone
std::string receive(int fd);              // what has come; empty: the other end is gone
bool send_all(int fd, std::string_view bytes);

}  // namespace cider::testing
