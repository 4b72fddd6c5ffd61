// Attributes and entries as this client read or wrote them last. They tell beforehand what an operation will
// ask and write; what it does is decided by what the server answers.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "meta/store/reads.h"
#include "meta/store/writes.h"

namespace cider::meta::sql::server {

// Thread-safe. Bounded: a new hint takes the place of another.
class Hints {
 public:
  using AttrHint = std::optional<Attr>;    // no value: there is no such inode
  using EntryHint = std::optional<Entry>;  // likewise

  std::optional<AttrHint> attr(Ino ino);
  std::optional<EntryHint> entry(Ino parent, std::string_view name);

  // The answers of the server.
  void remember(const ReadItem& item);
  void remember(Ino ino, const Attr& attr) { attrs_.put(ino, attr); }
  // What a commit of ours has left behind.
  void apply(const WriteItem& item);
  void clear();

 private:
  using EntryKey = std::pair<Ino, std::string>;
  static size_t hash_of(Ino ino);
  static size_t hash_of(const EntryKey& key);

  template <class Key, class Value>
  class Table {
   public:
    std::optional<std::optional<Value>> get(const Key& key);
    void put(const Key& key, std::optional<Value> value);
    void forget(const Key& key);
    void clear();

   private:
    struct Slot {
      bool used = false;
      Key key{};
      std::optional<Value> value;
    };
    struct Shard {
      std::mutex mutex;
      std::vector<Slot> slots;
    };
    static constexpr size_t kShards = 16;
    static constexpr size_t kSlots = 1024;
    std::array<Shard, kShards> shards_;
  };

  Table<Ino, Attr> attrs_;
  Table<EntryKey, Entry> entries_;
};

}  // namespace cider::meta::sql::server
