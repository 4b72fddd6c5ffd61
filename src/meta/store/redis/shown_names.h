// The names that a listing has shown, in 11 to 21 bytes each: directories have millions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace cider::meta::redis {

// By 64 bits of each name, in many small tables that grow one at a time. Not thread-safe.
class ShownNames {
 public:
  // Whether the name is new.
  bool insert(std::string_view name) {
    const uint64_t hash = std::max<uint64_t>(std::hash<std::string_view>{}(name), 1);
    Table& table = tables_[hash % kTables];
    if (table.used * 4 >= table.slots.size() * 3) grow(&table);
    uint64_t& slot = slot_of(&table.slots, hash);
    if (slot == hash) return false;
    slot = hash;
    ++table.used;
    return true;
  }

 private:
  static constexpr size_t kTables = 64;
  struct Table {
    std::vector<uint64_t> slots;  // a power of two of them; 0: free
    size_t used = 0;
  };

  // Where the hash is, or belongs.
  static uint64_t& slot_of(std::vector<uint64_t>* slots, uint64_t hash) {
    size_t at = hash / kTables;
    while ((*slots)[at %= slots->size()] != 0 && (*slots)[at] != hash) ++at;
    return (*slots)[at];
  }
  static void grow(Table* table) {
    std::vector<uint64_t> larger(std::max<size_t>(table->slots.size() * 2, 16));
    for (uint64_t hash : table->slots) {
      if (hash != 0) slot_of(&larger, hash) = hash;
    }
    table->slots = std::move(larger);
  }

  std::array<Table, kTables> tables_;
};

}  // namespace cider::meta::redis
