// Any bytes as the kernel's requests: nothing may crash, and each request that has a header gets one answer
// at most. Input: messages, each behind a 16-bit length; the header's length field is mended so that most get
// to a handler.
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/log.h"
#include "fuse/dispatcher.h"
#include "fuse/testing/fake_transport.h"
#include "fuse/testing/memory_fs.h"

using namespace cider;
using namespace cider::fuse;

namespace {

// A size that would take all the memory is the memory double's problem, not the decoder's.
bool too_large(const fuse_in_header& header, std::string_view body) {
  ArgReader args(body);
  switch (header.opcode) {
    case FUSE_SETATTR:
      return args.get<fuse_setattr_in>().size > 1 << 20;
    case FUSE_WRITE:
      return args.get<fuse_write_in>().offset > 1 << 20;
    case FUSE_FALLOCATE: {
      auto in = args.get<fuse_fallocate_in>();
      return in.offset > 1 << 20 || in.length > 1 << 20;
    }
    case FUSE_COPY_FILE_RANGE:
    case kOpCopyFileRange64:
      return args.get<fuse_copy_file_range_in>().off_out > 1 << 20;
    default:
      return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  log::set_level(log::Level::error);
  fuse::testing::MemoryFs fs;
  fuse::testing::FakeTransport kernel;
  InterruptTable interrupts;
  interrupts.close();  // so that no wait is for ever
  Dispatcher dispatcher(fs, {}, interrupts, [](const Status&) {});
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (uint64_t unique = 2; rest.size() > 2; unique += 2) {
    uint16_t length;
    std::memcpy(&length, rest.data(), 2);
    rest.remove_prefix(2);
    std::string bytes(rest.substr(0, length));
    rest.remove_prefix(bytes.size());
    if (bytes.size() >= sizeof(fuse_in_header)) {
      fuse_in_header header;
      std::memcpy(&header, bytes.data(), sizeof header);
      if (header.len % 16 != 0) header.len = static_cast<uint32_t>(bytes.size());
      header.unique = unique;
      header.opcode %= 64;
      header.nodeid %= 8;
      std::memcpy(bytes.data(), &header, sizeof header);
      if (too_large(header, std::string_view(bytes).substr(sizeof header))) continue;
    }
    deliver(bytes, nullptr, nullptr, kernel, dispatcher);
    if (kernel.answers(unique).size() > 1) std::abort();
  }
  return 0;
}
