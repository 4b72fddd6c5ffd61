// A DataPath over doubles of both seams. For tests.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "chunk/block_store.h"
#include "chunk/data_path.h"
#include "chunk/testing/memory_catalog.h"
#include "object/object_store.h"
#include "object/testing/faulty_store.h"

namespace cider::chunk::testing {

// Whether the condition comes true within the limit.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  constexpr std::chrono::milliseconds kPause{5};
  for (; limit.count() > 0; limit -= kPause) {
    if (condition()) return true;
    std::this_thread::sleep_for(kPause);
  }
  return condition();
}

// Data of tests stays where it was written until they send it off, however slow the machine is.
inline DataOptions patient() {
  DataOptions options;
  options.longest_idle = options.longest_open = std::chrono::hours(1);
  return options;
}

struct HarnessOptions {
  size_t budget = 64 << 20;
  uint32_t block_size = 64 << 10;
  DataOptions data = patient();
  std::string compression = "none";
  std::unique_ptr<object::ObjectStore> store;  // null: in memory
};

class Harness {
 public:
  explicit Harness(HarnessOptions options = {})
      : store(options.store ? std::move(options.store) : std::move(*object::open_store({"mem", ""}))),
        budget(options.budget),
        blocks(store,
               Layout{.block_size = options.block_size,
                      .codec = *find_codec(options.compression),
                      .whole_objects = options.compression != "none"},
               &budget),
        data(blocks, catalog, budget, options.data) {}
  ~Harness() {
    store.release();
    data.stop();
  }

  Status write(Ino ino, uint64_t off, std::string_view bytes) {
    Buffer buffer = Buffer::allocate(bytes.size(), &budget);
    std::memcpy(buffer.mutable_data(), bytes.data(), bytes.size());
    return data.write(ino, off, std::move(buffer), Time{1, 0});
  }

  // Reads with the length that the catalog knows.
  Result<std::string> read(Ino ino, uint64_t off, uint32_t size, uint64_t stream = 1) {
    return read_from(data, ino, off, size, stream);
  }
  Result<std::string> read_from(DataPath& path, Ino ino, uint64_t off, uint32_t size, uint64_t stream = 1) {
    uint64_t length = 0;
    if (auto pending = path.pending(ino)) length = pending->length;
    length = std::max(length, catalog.length(ino));
    BufferChain chain = TRY(path.read(ino, stream, length, off, size, {}));
    std::string bytes;
    for (const Buffer& piece : chain) bytes += piece.text();
    return bytes;
  }
  // What another client sees, who has nothing in memory.
  Result<std::string> read_committed(Ino ino, uint64_t off, uint32_t size) {
    MemoryBudget other_budget(64 << 20);
    DataPath other(blocks, catalog, other_budget, {});
    return read_from(other, ino, off, size);
  }

  object::testing::FaultyStore store;
  MemoryCatalog catalog;
  MemoryBudget budget;
  BlockStore blocks;
  DataPath data;
};

// Bytes that tell their place.
inline std::string pattern(size_t size, uint64_t seed = 0) {
  std::string bytes(size, '\0');
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : bytes) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x | 1);  // never zero
  }
  return bytes;
}

}  // namespace cider::chunk::testing
