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
    const std::string_view text = key.ToStringView();
    return text.starts_with(kInodes) || text.starts_with(kTallies);
  }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    const std::string_view text = key.ToStringView();
    size_t group = text.size();
    if (is_entry_key(text))
      group = kInodes.size() + sizeof(Ino) + 1;  // and the letter of entries
    else if (text.starts_with(kInodes))
      group = kInodes.size() + 1;
    return {key.data(), std::min(group, key.size())};
  }
};

}  // namespace cider::meta::kv
