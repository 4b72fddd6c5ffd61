// Whatever is written to `.control`, in whatever pieces: no crash, no unbounded memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vfs/control_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cider::vfs::ControlAssembler assembler;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const size_t piece = std::min<size_t>(rest.size(), 1 + static_cast<uint8_t>(rest[0]) % 32);
    const auto message = assembler.add(rest.substr(0, piece));
    rest.remove_prefix(piece);
    if (message && *message) {
      const auto request = cider::vfs::parse_control_request((*message)->command, (*message)->payload);
      if (!request && request.error().code == 0) __builtin_trap();
    }
  }
  // And the bytes as one payload of every command.
  for (uint32_t command = 1000; command < 1010; ++command) {
    (void)cider::vfs::parse_control_request(command, {reinterpret_cast<const char*>(data), size});
  }
  return 0;
}
