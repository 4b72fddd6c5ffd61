// Random operations on a volume, reproducible by their seed. For tests only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "meta/testing/test_volume.h"

namespace cider::meta::testing {

struct RandomSetup {
  Engine engine = Engine::memory;
  uint64_t seed = 1;
  size_t operations = 1000;
  bool trash = false;
  bool verbose = false;  // prints each operation
};

// Two clients in turn; after each operation its answer and the attributes of what it touched are compared
// with a model, now and then the whole volume. What went wrong, or nullopt.
std::optional<std::string> compare_with_model(const RandomSetup& setup);

// `threads` threads on two clients at the same time; then the volume must be consistent, and no data that a
// file has be gone.
std::optional<std::string> race(const RandomSetup& setup, int threads);

// `threads` threads, two of the first client and one of each other, race for a few names in short rounds.
// What each was told (errors, inodes, link counts) must be explained by an order of the operations that real
// time allows. On Redis, connections break in every second round.
std::optional<std::string> check_order(const RandomSetup& setup, size_t threads);

// One thread's share of a race on a client, until `operations` are done or *stop is set. Answers an error
// that no race explains.
std::optional<std::string> random_walk(Meta& meta, FakeData& data, const Clock& clock, uint64_t seed,
                                       size_t operations, const std::atomic<bool>* stop);

}  // namespace cider::meta::testing
