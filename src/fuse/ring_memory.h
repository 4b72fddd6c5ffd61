// The memory that a ring's entry shares with the kernel: headers, and a payload that takes a request's data,
// then its answer's.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "fuse/protocol.h"

namespace cider::fuse {

// Not thread-safe.
class RingMemory {
 public:
  // Reserves the memory only; the kernel gives pages as they are used.
  explicit RingMemory(size_t payload_size);
  ~RingMemory();
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  explicit operator bool() const { return base_ != nullptr; }
  // What REGISTER tells the kernel. Holds as long as this.
  std::span<const iovec> vector() const { return vector_; }

  // The request that the kernel has put there, in one piece as /dev/fuse gives it, and its commit id. What it
  // claims of lengths is kept within bounds; the rest is for deliver() to check.
  std::string_view message();
  uint64_t commit_id() const { return headers().entry.commit_id; }

  // Puts the answer there. False: it is too long.
  bool put_answer(uint64_t unique, int error, std::span<const iovec> payload);

  // Bytes of the payload, of the request or the answer.
  size_t used() const { return headers().entry.payload_size; }
  // Gives all pages of the payload back.
  void drop_payload();

 private:
  RingHeaders& headers() const { return *reinterpret_cast<RingHeaders*>(base_); }
  char* payload() const;

  const size_t payload_size_;
  char* base_ = nullptr;
  iovec vector_[2] = {};
};

}  // namespace cider::fuse
