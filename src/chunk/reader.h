// The read side: joins committed slices with buffered writes, fetches what is needed and reads ahead.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/result.h"
#include "chunk/data_path.h"
#include "chunk/fetcher.h"
#include "chunk/file_state.h"
#include "chunk/files_ahead.h"
#include "chunk/slice_catalog.h"

namespace cider::chunk {

// Where the bytes [pos, pos+len) of a chunk are: in memory (`data`), in a slice, or nowhere (zeros: id 0).
struct Source {
  SliceBytes slice;
  Buffer data;
  Source part(uint32_t off, uint32_t len) const {
    return {slice.part(off, len), data.empty() ? Buffer() : data.slice(off, len)};
  }
};

struct Extent {
  uint32_t pos = 0;
  uint32_t len = 0;
  Source source;
};

// Thread-safe. Holds no lock while the catalog or the store is called.
class Reader {
 public:
  Reader(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, Fetcher& fetcher,
         const DataOptions& options);

  // As DataPath::read.
  Result<BufferChain> read(const std::shared_ptr<FileState>& file, uint64_t stream, uint64_t length,
                           uint64_t off, uint32_t size, std::stop_token stop);

 private:
  using FilePtr = std::shared_ptr<FileState>;

  static std::optional<SliceRange> in_one_slice(const FileState& file, uint64_t off, uint64_t end);
  Result<BufferChain> read_range(const FilePtr& file, uint64_t off, uint64_t end, bool fresh, bool sequential,
                                 bool& late, std::stop_token stop);
  Result<std::vector<Extent>> visible(const FilePtr& file, uint32_t index, uint32_t begin, uint32_t end,
                                      bool fresh, const std::stop_token& stop);
  void read_ahead(const FilePtr& file, uint64_t begin, uint64_t end);
  void prefetch(const FilePtr& file, uint64_t begin, uint64_t end);
  uint64_t window_limit() const;
  void add_zeros(uint32_t len, BufferChain& out);
  BufferChain merged(BufferChain chain);

  BlockStore& blocks_;
  SliceCatalog& catalog_;
  MemoryBudget& budget_;
  Fetcher& fetcher_;
  const DataOptions options_;
  FilesAhead files_ahead_;
  const Buffer zeros_;
};

}  // namespace cider::chunk
