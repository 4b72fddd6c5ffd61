// What a server sends, in whatever pieces, and URLs: no crash, no unbounded memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/resp.h"
#include "meta/store/redis/server_info.h"

namespace {

using namespace cider::meta::redis;

// Touches all of it.
size_t walk(const Reply& reply, int depth) {
  size_t sum = reply.text().size() + static_cast<size_t>(reply.integer() != 0);
  if (reply.is_error()) sum += error_of(reply).message.size();
  if (depth > 20) return sum;
  for (size_t i = 0; i < reply.size(); ++i) sum += walk(reply[i], depth + 1);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ReplyReader reader;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t piece = std::min<size_t>(rest.size(), 1 + static_cast<uint8_t>(rest[0]) % 32);
    if (!reader.feed(rest.substr(0, piece))) break;
    rest.remove_prefix(piece);
    for (;;) {
      auto reply = reader.next();
      if (!reply || !*reply) break;
      walk(**reply, 0);
    }
  }
  auto url = parse_redis_url(text);
  if (url && url->addresses.empty()) __builtin_trap();
  (void)parse_server_info(text);
  return 0;
}
