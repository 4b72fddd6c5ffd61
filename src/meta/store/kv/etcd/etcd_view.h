// A view of an etcd database: everything at one revision, that of its first question. A working view takes
// what it can from hints.
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "meta/store/kv/etcd/etcd_client.h"
#include "meta/store/kv/known_values.h"
#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

class EtcdView final : public View {
 public:
  EtcdView(EtcdClient& client, KnownValues& hints, std::string prefix, bool working, std::stop_token stop)
      : client_(client),
        hints_(hints),
        prefix_(std::move(prefix)),
        working_(working),
        stop_(std::move(stop)) {}

  Result<std::vector<Value>> get(std::span<const std::string> keys) override;
  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) override;
  void expect_absent(const std::string& key) override;
  void want_present(const std::string& key) override { unguessed_.insert(key); }
  std::optional<Value> guess(const std::string& key) override;

  // Nothing was taken from hints: all that was shown was so at one instant.
  bool is_one_instant() const { return !hinted_; }
  int64_t revision() const { return revision_; }
  // The revision of the last change of a key that was shown, 0 where it was not there; nullopt: not shown.
  std::optional<int64_t> changed(const std::string& key) const;

 private:
  std::optional<Value> known(const std::string& key);
  void show(const std::string& key, int64_t changed);
  Status ask(const std::vector<std::string>& keys, size_t first, size_t last, std::vector<Value>* values);

  EtcdClient& client_;
  KnownValues& hints_;
  const std::string prefix_;
  const bool working_;
  const std::stop_token stop_;
  bool hinted_ = false;
  int64_t revision_ = 0;  // 0: nothing was asked yet
  std::set<std::string, std::less<>> unguessed_;
  std::map<std::string, int64_t, std::less<>> changed_;
};

}  // namespace cider::meta::kv
