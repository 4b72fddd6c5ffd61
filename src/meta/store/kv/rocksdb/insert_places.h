// Which keys are likely to be inserted beside each other, so that RocksDB goes on from the last place of
// their group instead of searching its table from the beginning: what a create writes is an entry of a
// directory, a new inode, whose numbers go up within those of one low byte, and the directory's inode and our
// totals again and again.
//
// RocksDB keeps some 250 bytes for each group in each table: so inodes are in 256 groups, not one each.
#pragma once

#include <rocksdb/slice_transform.h>

#include <algorithm>
#include <string_view>

#include "meta/store/kv/keys.h"

namespace cider::meta::kv {

class InsertPlaces final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "cider.InsertPlaces"; }
  // All other keys are searched for.
  bool InDomain(const rocksdb::Slice& key) const override {
    return key.starts_with(slice(kInodes)) || key.starts_with(slice(kTallies));
  }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    size_t group = key.size();
    if (is_entry_key({key.data(), key.size()}))
      group = kDirectory;
    else if (key.starts_with(slice(kInodes)))
      group = kInodes.size() + 1;
    return {key.data(), std::min(group, key.size())};
  }

 private:
  static constexpr size_t kDirectory = 10;  // kInodes, the inode, a letter
  static rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
};

}  // namespace cider::meta::kv
