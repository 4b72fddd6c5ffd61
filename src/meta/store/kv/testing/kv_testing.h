// For the tests of ordered-KV engines: volumes that JuiceFS wrote, and short forms of what tests say often.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/testing/fixtures.h"
#include "meta/store/kv/kv.h"
#include "meta/store/store.h"
#include "meta/testing/store_calls.h"

namespace cider::meta::kv::testing {

using meta::testing::ask;
using meta::testing::write;
using Pairs = std::map<std::string, std::string>;

// The pairs of a fixture's kv.hex, without the engine's prefix.
inline Pairs load_pairs(const std::filesystem::path& dir) {
  constexpr std::string_view kEtcdPrefix = "/ciderfs\xFD";
  Pairs out;
  std::istringstream lines(cider::testing::read_file(dir / "kv.hex"));
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.find(' ');
    std::string key = from_hex(line.substr(0, space)).value();
    if (key.starts_with(kEtcdPrefix)) key.erase(0, kEtcdPrefix.size());
    out[key] = from_hex(line.substr(space + 1)).value();
  }
  return out;
}

inline Range everything() {
  return {std::string(1, '\0'), std::string(64, '\xff')};
}

inline Pairs all_pairs(Database& database) {
  const auto view = database.view({});
  EXPECT_TRUE(view);
  auto pairs = (*view)->scan(everything(), SIZE_MAX, false);
  EXPECT_TRUE(pairs);
  Pairs out;
  for (Pair& pair : *pairs) out.emplace(std::move(pair.key), std::move(pair.value));
  return out;
}

// Puts pairs, without a look at what is there.
inline void put_pairs(Database& database, const Pairs& pairs) {
  constexpr size_t kAtOnce = 100;
  Changes changes;
  const auto commit = [&] {
    const auto view = database.working_view({});
    ASSERT_TRUE(view);
    const auto done = database.commit(**view, {}, changes, {});
    ASSERT_TRUE(done && *done == Committed::done);
    changes = {};
  };
  for (const auto& [key, value] : pairs) {
    changes.keys[key] = value;
    if (changes.keys.size() == kAtOnce) commit();
  }
  commit();
}

inline Attr directory_attr() {
  Attr attr;
  attr.type = FileType::directory;
  attr.mode = 0755;
  attr.nlink = 2;
  attr.length = kDirectoryLength;
  attr.parent = kRootIno;
  attr.atime = attr.mtime = attr.ctime = {1'700'000'000, 123'456'789};
  return attr;
}

}  // namespace cider::meta::kv::testing
