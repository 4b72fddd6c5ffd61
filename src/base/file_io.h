// Whole files, and whole writes. For small files: settings, keys, tokens.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace cider {

// A file's bytes; the errno where it can't be read.
Result<std::string> read_file(const std::string& path);

// Writes all at the file's position.
Status write_all(int fd, std::span<const std::byte> data);

}  // namespace cider
