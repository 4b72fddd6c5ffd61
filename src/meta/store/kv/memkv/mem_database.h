// An ordered-KV database in this process: what tests run against. As unforgiving as the weakest real one:
// working views may show what has been, commits check key by key, conflicts come without a reason, and a
// check of what the view has not shown is refused. Thread-safe; several stores may share one: clients of one
// volume.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>

#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

class MemDatabase final : public Database {
 public:
  struct Behaviour {
    double stale = 0;         // share of working views that show keys as they were before
    double conflict = 0;      // share of commits that fail for nothing
    size_t parts = SIZE_MAX;  // Limits
    bool deletes_ranges = false;
  };

  MemDatabase() : MemDatabase(Behaviour{}) {}
  explicit MemDatabase(Behaviour behaviour, uint64_t seed = 1) : behaviour_(behaviour), random_(seed) {}

  // The one of this name that is in use in this process, or a new one.
  static std::shared_ptr<MemDatabase> of_name(std::string_view name, Behaviour behaviour);
  static std::shared_ptr<MemDatabase> of_name(std::string_view name) { return of_name(name, {}); }

  std::string name() const override { return "memkv"; }
  std::string describe() const override { return "memkv://"; }
  Result<std::unique_ptr<View>> view(std::stop_token stop) override;
  Result<std::unique_ptr<View>> working_view(std::stop_token stop) override;
  Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                           const Interrupt& stop) override;
  Limits limits() const override;

 private:
  class MemView;
  using Revision = uint64_t;
  // Of a key: its values from a revision on, the last two that were, and all that a view may ask for.
  using History = std::map<Revision, Value>;

  bool happens(double share);
  static History::const_iterator at(const History& history, Revision revision);
  bool range_holds(const MemView& view, const Checks::Unchanged& range) const;
  void write(const std::string& key, Value value);

  const Behaviour behaviour_;
  std::mutex mutex_;
  std::minstd_rand random_;
  std::map<std::string, History, std::less<>> keys_;
  std::multiset<Revision> views_;
  Revision now_ = 0;
};

}  // namespace cider::meta::kv
