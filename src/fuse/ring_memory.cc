#include "fuse/ring_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace cider::fuse {
namespace {

constexpr size_t kPage = 4096;
// The headers, and room before the payload for a request's header and first argument. So they and the payload
// are in one piece, and the data of a WRITE begins on a page.
constexpr size_t kFront = kPage;

}  // namespace

RingMemory::RingMemory(size_t payload_size) : payload_size_(payload_size) {
  static_assert(sizeof(RingHeaders) + sizeof(fuse_in_header) + sizeof(RingHeaders::op_in) <= kFront);
  void* mapped = ::mmap(nullptr, kFront + payload_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  base_ = static_cast<char*>(mapped);
  // A child's copy of the page tables would have every page copied that the kernel writes to afterwards.
  ::madvise(base_, kFront + payload_size, MADV_DONTFORK);
  vector_[0] = {base_, sizeof(RingHeaders)};
  vector_[1] = {payload(), payload_size};
}

RingMemory::~RingMemory() {
  if (base_) ::munmap(base_, kFront + payload_size_);
}

char* RingMemory::payload() const {
  return base_ + kFront;
}

std::string_view RingMemory::message() {
  fuse_in_header header;
  std::memcpy(&header, headers().in_out, sizeof header);
  const size_t rest = std::min<size_t>(headers().entry.payload_size, payload_size_);
  // The first argument's length is told by what the others leave.
  const size_t others = sizeof header + rest;
  const size_t first = header.len > others ? std::min(header.len - others, sizeof(RingHeaders::op_in)) : 0;
  char* begin = payload() - first - sizeof header;
  std::memcpy(begin, &header, sizeof header);
  std::memcpy(begin + sizeof header, headers().op_in, first);
  return {begin, sizeof header + first + rest};
}

bool RingMemory::put_answer(uint64_t unique, int error, std::span<const iovec> payload_pieces) {
  size_t size = 0;
  for (const iovec& piece : payload_pieces) {
    if (piece.iov_len > payload_size_ - size) return false;
    std::memcpy(payload() + size, piece.iov_base, piece.iov_len);
    size += piece.iov_len;
  }
  const fuse_out_header header{
      .len = static_cast<uint32_t>(sizeof header + size), .error = -error, .unique = unique};
  std::memcpy(headers().in_out, &header, sizeof header);
  headers().entry.payload_size = static_cast<uint32_t>(size);
  return true;
}

void RingMemory::drop_payload() {
  ::madvise(payload(), payload_size_, MADV_DONTNEED);
}

}  // namespace cider::fuse
