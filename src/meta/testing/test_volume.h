// A volume on one of the engines with several clients, for tests.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "meta/meta.h"
#include "meta/store/memory/memory_store.h"
#include "meta/testing/consistency.h"
#include "meta/testing/engines.h"
#include "meta/testing/fake_data.h"

namespace cider::meta::testing {

// Moves on by a microsecond with each look, so that every change of a time shows. Thread-safe.
class StepClock final : public Clock {
 public:
  Time now() const override { return from_nanos(nanos_ += 1000); }
  Monotonic::time_point monotonic() const override { return Monotonic::now(); }
  void advance(int64_t seconds) { nanos_ += seconds * 1'000'000'000; }

 private:
  mutable std::atomic<int64_t> nanos_{1'800'000'000'000'000'000};
};

struct VolumeSetup {
  Engine engine = Engine::memory;
  int clients = 2;
  int trash_days = 0;
  uint64_t capacity = 0;
  uint64_t inodes = 0;
  bool acl = false;
  uint64_t seed = 1;
  MetaOptions options = {.background_jobs = false, .max_deletes = 1};
};

class TestVolume {
 public:
  explicit TestVolume(const VolumeSetup& setup);
  ~TestVolume();  // stops the clients, removes the files

  Meta& client(size_t i) { return *clients_.at(i); }
  size_t clients() const { return clients_.size(); }
  // One more client of the volume, started; `url`: where it finds the engine, if elsewhere (a proxy).
  Meta& add_client(const MetaOptions& options, const std::string& url = {});
  // Ends a client without a goodbye: its session stays in the engine.
  void abandon(size_t i);
  FakeData& data() { return data_; }
  StepClock& clock() { return clock_; }
  const std::string& url() const { return url_; }  // empty: in memory
  // A store of its own on the volume.
  std::unique_ptr<Store> open(const std::string& url = {});
  uint64_t conflicts() const { return memory_ ? memory_->conflicts() : 0; }

  VolumeDump dump();
  std::vector<std::string> problems() { return inconsistencies(dump()); }
  // Stops all clients.
  void stop();

 private:
  void disturb();  // what a foreign client does between two reads

  StepClock clock_;
  FakeData data_;
  Volume volume_;
  const EngineTraits& engine_;
  std::filesystem::path dir_;  // of an engine that is not in memory, as
  std::string url_;
  std::unique_ptr<MemoryStore> memory_;
  std::mutex random_mutex_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Meta>> clients_;
  std::vector<std::unique_ptr<Meta>> dead_;
};

}  // namespace cider::meta::testing
