// The records of a Redis fixture (keys.jsonl) and what a mount showed of them (expected.json). For tests
// only.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/testing/fixtures.h"

namespace cider::testing {

struct RedisFixture {
  std::map<std::string, std::string> strings;
  std::map<std::string, std::map<std::string, std::string>> hashes;
  std::map<std::string, std::vector<std::string>> lists;
};

inline RedisFixture load_redis_fixture(const std::filesystem::path& dir) {
  RedisFixture out;
  auto bytes = [](const nlohmann::json& hex) { return from_hex(hex.get<std::string>()).value(); };
  std::istringstream lines(read_file(dir / "keys.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto row = nlohmann::json::parse(line);
    std::string key = bytes(row["key_hex"]);
    if (row["type"] == "string") out.strings[key] = bytes(row["value_hex"]);
    if (row["type"] == "hash") {
      for (auto& field : row["fields_hex"]) out.hashes[key][bytes(field[0])] = bytes(field[1]);
    }
    if (row["type"] == "list") {
      for (auto& item : row["items_hex"]) out.lists[key].push_back(bytes(item));
    }
  }
  return out;
}

// The entries of expected.json, the trash included.
inline std::vector<nlohmann::json> load_expected(const std::filesystem::path& dir) {
  auto document = nlohmann::json::parse(read_file(dir / "expected.json"));
  std::vector<nlohmann::json> out;
  for (const char* part : {"entries", "trash_entries"}) {
    for (auto& entry : document[part]) out.push_back(entry);
  }
  return out;
}

}  // namespace cider::testing
