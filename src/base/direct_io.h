// Large transfers to and from a local disk without its page cache: the kernel caches the files of the mount
// already, so caching their blocks a second time costs memory and a copy. Where the file system or the
// buffers don't allow it, and for what is in the page cache anyhow, ordinary reads and writes are used.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/buffer.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace cider {

// Writes all of `data` at the file's position. `path` is for messages.
Status write_all(const UniqueFd& file, const BufferChain& data, const std::string& path);
// Likewise, to an empty file.
Status write_large(const UniqueFd& file, const BufferChain& data, const std::string& path);

// Reads up to out.size() bytes at `offset`; fewer only at the end of the file. How many, or the errno. Nobody
// else may use the descriptor meanwhile.
Result<size_t> read_large(const UniqueFd& file, uint64_t offset, std::span<std::byte> out);

}  // namespace cider
