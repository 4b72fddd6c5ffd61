#include "chunk/cache/block_index.h"

#include <algorithm>

namespace cider::chunk {
namespace {

uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ x >> 31;
}

uint64_t hash_of(const BlockName& name) {
  return mix(name.slice + 0x9e3779b97f4a7c15 * (uint64_t{name.index} << 25 | name.bytes));
}

}  // namespace

// A block has at most 16 MiB, a slice at most 1024 blocks.
struct BlockIndex::Entry {
  uint64_t slice = 0;
  uint64_t index : 11 = 0;
  uint64_t bytes : 25 = 0;  // 0: the place is free
  uint64_t used : 22 = 0;
  uint64_t staged : 1 = 0;
  uint64_t seen : 1 = 0;

  bool is(const BlockName& name) const {
    return slice == name.slice && index == name.index && bytes == name.bytes;
  }
  bool free() const { return bytes == 0; }
  BlockName name() const { return {slice, static_cast<uint32_t>(index), static_cast<uint32_t>(bytes)}; }
};

// Linear probing from a home place; removal moves later entries back, so that there are no tombstones.
struct BlockIndex::Shard {
  static constexpr size_t kFewest = 8;  // places
  mutable std::mutex mutex;
  std::vector<Entry> table;
  size_t used = 0;

  size_t home(uint64_t hash) const {
    return static_cast<size_t>(static_cast<unsigned __int128>(hash) * table.size() >> 64);
  }
  size_t next(size_t place) const { return place + 1 == table.size() ? 0 : place + 1; }

  Entry* find(const BlockName& name) {
    if (table.empty()) return nullptr;
    for (size_t at = home(hash_of(name)); !table[at].free(); at = next(at)) {
      if (table[at].is(name)) return &table[at];
    }
    return nullptr;
  }

  void place(const Entry& entry) {
    size_t at = home(hash_of(entry.name()));
    while (!table[at].free()) at = next(at);
    table[at] = entry;
  }

  void resize(size_t places) {
    std::vector<Entry> old(places);
    old.swap(table);
    for (const Entry& entry : old) {
      if (!entry.free()) place(entry);
    }
  }

  Entry& insert(const BlockName& name) {
    if (table.empty()) resize(kFewest);
    if ((used + 1) * 8 > table.size() * 7) resize(table.size() * 5 / 4 + 4);
    used++;
    size_t at = home(hash_of(name));
    while (!table[at].free()) at = next(at);
    Entry& entry = table[at];
    entry.slice = name.slice;
    entry.index = name.index;
    entry.bytes = name.bytes;
    return entry;
  }

  void erase(Entry* entry) {
    used--;
    size_t hole = static_cast<size_t>(entry - table.data());
    for (size_t at = next(hole); !table[at].free(); at = next(at)) {
      // An entry may move to the hole unless its home lies cyclically in (hole, at].
      const size_t from = home(hash_of(table[at].name()));
      const bool stays = hole < at ? hole < from && from <= at : hole < from || from <= at;
      if (stays) continue;
      table[hole] = table[at];
      hole = at;
    }
    table[hole] = Entry{};
    if (table.size() > kFewest && used * 4 < table.size()) resize(std::max(kFewest, used * 4 / 3 + 1));
  }
};

BlockIndex::BlockIndex() : shards_(std::make_unique<Shard[]>(kShards)) {
  static_assert(sizeof(Entry) == 16);
}
BlockIndex::~BlockIndex() = default;

BlockIndex::Shard& BlockIndex::shard(uint64_t hash) const {
  return shards_[hash % kShards];
}

void BlockIndex::count(const BlockName& name, bool added) {
  if (added) {
    blocks_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(cost(name.bytes), std::memory_order_relaxed);
  } else {
    blocks_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(cost(name.bytes), std::memory_order_relaxed);
  }
}

bool BlockIndex::add(const BlockName& name, Tick now, bool staged) {
  if (name.bytes == 0 || name.bytes >= 1u << 25 || name.index >= 1u << 11) return false;
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  Entry* entry = s.find(name);
  const bool fresh = entry == nullptr;
  if (fresh) {
    entry = &s.insert(name);
    count(name, true);
  }
  entry->used = std::min(now, kMaxTick);
  if (staged) entry->staged = 1;
  entry->seen = scan_.load() ? 1 : 0;
  return fresh;
}

bool BlockIndex::touch(const BlockName& name, Tick now) {
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  Entry* entry = s.find(name);
  if (entry) entry->used = std::min(now, kMaxTick);
  return entry != nullptr;
}

bool BlockIndex::contains(const BlockName& name) const {
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  return s.find(name) != nullptr;
}

std::optional<BlockIndex::Found> BlockIndex::remove(const BlockName& name) {
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  Entry* entry = s.find(name);
  if (!entry) return std::nullopt;
  Found found{name, static_cast<Tick>(entry->used), entry->staged != 0};
  s.erase(entry);
  count(name, false);
  return found;
}

bool BlockIndex::remove_unused(const Found& picked) {
  Shard& s = shard(hash_of(picked.name));
  std::lock_guard lock(s.mutex);
  Entry* entry = s.find(picked.name);
  if (!entry || entry->used != picked.used || entry->staged) return false;
  s.erase(entry);
  count(picked.name, false);
  return true;
}

void BlockIndex::set_staged(const BlockName& name, bool staged) {
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  if (Entry* entry = s.find(name)) entry->staged = staged ? 1 : 0;
}

uint64_t BlockIndex::random() {
  return mix(random_.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed));
}

std::optional<BlockIndex::Found> BlockIndex::random_entry(bool evictable) {
  constexpr int kMostSteps = 64;
  const uint64_t dice = random();
  // With few blocks many shards are empty: go on to the next that is not.
  for (size_t i = 0; i < kShards; i++) {
    Shard& s = shards_[(dice + i) % kShards];
    std::lock_guard lock(s.mutex);
    if (s.used == 0) continue;
    // Places are drawn anew until one is taken. To go on to the next that is taken would pick those behind a
    // gap more often, and so make gaps grow.
    uint64_t place = dice;
    for (int step = 0; step < kMostSteps; step++) {
      place = mix(place + 0x9e3779b97f4a7c15);
      steps_.fetch_add(1, std::memory_order_relaxed);
      const Entry& entry = s.table[s.home(place)];
      if (entry.free() || (evictable && entry.staged)) continue;
      return Found{entry.name(), static_cast<Tick>(entry.used), entry.staged != 0};
    }
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<BlockIndex::Found> BlockIndex::pick(int tries) {
  std::optional<Found> best;
  for (int i = 0; i < tries; i++) {
    std::optional<Found> found = random_entry(true);
    if (!found) continue;
    if (!best || found->used < best->used ||
        (found->used == best->used && found->name.bytes > best->name.bytes))
      best = found;
  }
  return best;
}

std::optional<BlockIndex::Found> BlockIndex::any() {
  return random_entry(false);
}

void BlockIndex::begin_scan() {
  scan_.store(!scan_.load());
}

bool BlockIndex::see(const BlockName& name) {
  if (name.bytes == 0 || name.bytes >= 1u << 25 || name.index >= 1u << 11) return false;
  Shard& s = shard(hash_of(name));
  std::lock_guard lock(s.mutex);
  Entry* entry = s.find(name);
  const bool fresh = entry == nullptr;
  if (fresh) {
    entry = &s.insert(name);
    entry->used = 1;
    count(name, true);
  }
  entry->seen = scan_.load() ? 1 : 0;
  return fresh;
}

std::vector<BlockName> BlockIndex::end_scan() {
  const bool current = scan_.load();
  std::vector<BlockName> all_gone;
  for (size_t i = 0; i < kShards; i++) {
    Shard& s = shards_[i];
    std::lock_guard lock(s.mutex);
    const size_t first = all_gone.size();
    for (const Entry& entry : s.table) {
      if (!entry.free() && (entry.seen != 0) != current) all_gone.push_back(entry.name());
    }
    for (size_t gone = first; gone < all_gone.size(); gone++) {
      s.erase(s.find(all_gone[gone]));
      count(all_gone[gone], false);
    }
  }
  return all_gone;
}

void BlockIndex::clear() {
  begin_scan();
  end_scan();
}

std::vector<BlockIndex::Found> BlockIndex::older(size_t part, Tick cutoff) const {
  const Shard& s = shards_[part % kShards];
  std::vector<Found> found;
  std::lock_guard lock(s.mutex);
  for (const Entry& entry : s.table) {
    if (!entry.free() && !entry.staged && entry.used < cutoff)
      found.push_back({entry.name(), static_cast<Tick>(entry.used), false});
  }
  return found;
}

size_t BlockIndex::memory() const {
  size_t bytes = kShards * sizeof(Shard);
  for (size_t i = 0; i < kShards; i++) {
    std::lock_guard lock(shards_[i].mutex);
    bytes += shards_[i].table.capacity() * sizeof(Entry);
  }
  return bytes;
}

}  // namespace cider::chunk
