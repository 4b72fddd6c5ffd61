#include "chunk/cache/dir_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace cider::chunk {
namespace {

constexpr int kNodes = 100;  // of each directory, to begin with
constexpr int kRounds = 5;
constexpr double kStep = 0.75;
constexpr double kCircle = 4294967296.0;

using Nodes = std::vector<std::pair<uint32_t, uint32_t>>;

Nodes make_nodes(const std::vector<std::string>& ids, const std::vector<int>& counts) {
  Nodes nodes;
  for (size_t dir = 0; dir < ids.size(); dir++) {
    for (int i = 0; i < counts[dir]; i++)
      nodes.emplace_back(murmur3(std::to_string(i) + ids[dir]), static_cast<uint32_t>(dir));
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

// How much of the circle each directory has.
std::vector<uint64_t> shares(const Nodes& nodes, size_t dirs) {
  std::vector<uint64_t> share(dirs);
  share[nodes[0].second] = (uint64_t{1} << 32) + nodes[0].first - nodes.back().first;
  for (size_t i = 1; i < nodes.size(); i++) share[nodes[i].second] += nodes[i].first - nodes[i - 1].first;
  return share;
}

}  // namespace

uint32_t murmur3(std::string_view bytes) {
  constexpr uint32_t c1 = 0xcc9e2d51;
  constexpr uint32_t c2 = 0x1b873593;
  uint32_t hash = 0;
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    uint32_t k;
    std::memcpy(&k, bytes.data() + i, 4);
    hash ^= std::rotl(k * c1, 15) * c2;
    hash = std::rotl(hash, 13) * 5 + 0xe6546b64;
  }
  uint32_t tail = 0;
  for (size_t n = bytes.size() - i; n > 0; n--) tail = tail << 8 | static_cast<uint8_t>(bytes[i + n - 1]);
  if (i < bytes.size()) hash ^= std::rotl(tail * c1, 15) * c2;
  hash ^= static_cast<uint32_t>(bytes.size());
  hash = (hash ^ hash >> 16) * 0x85ebca6b;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35;
  return hash ^ hash >> 16;
}

DirRing::DirRing(const std::vector<std::string>& ids) {
  if (ids.empty()) return;
  std::vector<int> counts(ids.size(), kNodes);
  nodes_ = make_nodes(ids, counts);
  if (ids.size() == 1) return;
  const double expected = 1.0 / static_cast<double>(ids.size());
  for (int round = 0; round < kRounds; round++) {
    const std::vector<uint64_t> share = shares(nodes_, ids.size());
    bool changed = false;
    for (size_t dir = 0; dir < ids.size(); dir++) {
      const double actual = static_cast<double>(share[dir]) / kCircle;
      const int more = static_cast<int>(counts[dir] * (expected - actual) / expected * kStep);
      if (more == 1) continue;  // one node more is not worth it; the same rule on both sides
      counts[dir] += more;
      changed = true;
    }
    if (!changed) return;
    nodes_ = make_nodes(ids, counts);
  }
}

size_t DirRing::at(std::string_view key) const {
  const uint32_t hash = murmur3(key);
  auto node = std::lower_bound(nodes_.begin(), nodes_.end(), std::pair{hash, uint32_t{0}});
  return node == nodes_.end() ? nodes_.front().second : node->second;
}

}  // namespace cider::chunk
