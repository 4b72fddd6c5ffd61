// Reads and writes that go on until all is done.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace cider::chunk {

// EBADMSG where the file ends first.
Status pread_all(int fd, std::span<std::byte> out, uint64_t off);
// As preadv(2). What `vector` says is used up.
Status preadv_all(int fd, std::span<iovec> vector, uint64_t off);
// As pwritev(2), of any number of pieces. What `vector` says is used up.
Status pwritev_all(int fd, std::span<iovec> vector, uint64_t off);

}  // namespace cider::chunk
