// A view of a TiKV database: everything at one timestamp. Locks of others that are in the way are resolved.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "meta/store/kv/known_values.h"
#include "meta/store/kv/kv.h"
#include "meta/store/kv/tikv/lock_resolver.h"
#include "meta/store/kv/tikv/tikv_client.h"

namespace cider::meta::kv {

class TikvView final : public View {
 public:
  using Asked = std::shared_ptr<PdClient::Timestamp>;
  // At the timestamp `at`, which is awaited with the first question. `beginning`: one that was asked for when
  // the view was taken, and so is greater than those of all commits that were acknowledged before; null: `at`
  // was.
  TikvView(TikvClient& client, KnownValues& entries, std::string prefix, Asked at, Asked beginning,
           std::stop_token stop)
      : client_(client),
        entries_(entries),
        resolver_(client),
        prefix_(std::move(prefix)),
        at_(std::move(at)),
        beginning_(std::move(beginning)),
        stop_(std::move(stop)) {}

  Result<std::vector<Value>> get(std::span<const std::string> keys) override;
  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) override;
  std::optional<Value> guess(const std::string& key) override;
  void expect_absent(const std::string& key) override;

  // What some keys are at the view's timestamp: these need not be asked for.
  void take_known(std::map<std::string, Value, std::less<>> known) { known_ = std::move(known); }
  // From now on keys that are expected to be absent, but for `doubted`, are said to be without asking, where
  // nothing else of a question has to be asked.
  void take_guesses(std::set<std::string> doubted) {
    guesses_ = true;
    doubted_ = std::move(doubted);
  }
  // Of which that was said.
  const std::set<std::string>& guessed() const { return guessed_; }
  // Asks for all of the keys.
  Result<std::vector<Value>> ask(std::span<const std::string> keys);
  Result<uint64_t> timestamp() { return client_.pd().await(at_, stop_); }
  // The commit must be later than this.
  Result<uint64_t> beginning() { return beginning_ ? client_.pd().await(beginning_, stop_) : timestamp(); }
  // It shows what was there when it was taken, or later.
  bool is_fresh() const { return !beginning_; }
  bool has_asked() const { return asked_; }
  // Of keys: what it has shown.
  const std::map<std::string, Value, std::less<>>& shown() const { return shown_; }

 private:
  Result<TikvClient::Next> take_part(TikvClient::Part& part, TikvClient::Sent sent,
                                     tikvpb::BatchGetResponse* response, std::span<const std::string> keys,
                                     std::vector<Value>* values);
  Result<bool> scan_part(std::string* from, const std::string& end, size_t limit, bool keys_only,
                         std::vector<Pair>* pairs);

  TikvClient& client_;
  KnownValues& entries_;
  LockResolver resolver_;
  const std::string prefix_;
  const Asked at_;
  const Asked beginning_;
  const std::stop_token stop_;
  std::map<std::string, Value, std::less<>> shown_;
  std::map<std::string, Value, std::less<>> known_;
  bool asked_ = false;
  bool guesses_ = false;
  std::set<std::string> doubted_;
  std::set<std::string> expected_absent_;
  std::set<std::string> guessed_;
};

}  // namespace cider::meta::kv
