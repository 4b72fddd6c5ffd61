// How a block's file is written.
#pragma once

namespace cider::chunk {

struct BlockWrite {
  bool trailer = true;           // whether checksums follow the data; encrypted files have their own
  bool past_page_cache = false;  // for large data, where that is possible
  bool durable = false;          // the data is on the disk before the file gets its name
  unsigned mode = 0600;          // of the file, whatever the umask
};

}  // namespace cider::chunk
