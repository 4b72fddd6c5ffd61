#include "meta/store/kv/etcd/etcd_view.h"

#include <algorithm>

#include <etcd.pb.h>

namespace cider::meta::kv {
namespace {

constexpr size_t kKeysPerFlight = 100;
constexpr size_t kPairsPerFlight = 5000;

}  // namespace

// Of a key that a hint has shown as it was before, the check must be of that, which fails.
void EtcdView::show(const std::string& key, int64_t changed) {
  const auto [shown, is_new] = changed_.emplace(key, changed);
  if (!is_new) shown->second = std::min(shown->second, changed);
}

std::optional<int64_t> EtcdView::changed(const std::string& key) const {
  const auto it = changed_.find(key);
  return it == changed_.end() ? std::nullopt : std::optional(it->second);
}

// Where nothing better is known.
void EtcdView::expect_absent(const std::string& key) {
  if (working_ && !hints_.find(key)) hints_.note(key, {});
}

std::optional<Value> EtcdView::guess(const std::string& key) {
  auto hint = hints_.find(key);
  if (!hint) return std::nullopt;
  return std::move(hint->value);
}

std::optional<Value> EtcdView::known(const std::string& key) {
  if (!working_ || unguessed_.contains(key)) return std::nullopt;
  auto hint = hints_.find(key);
  if (!hint) return std::nullopt;
  hinted_ = true;
  show(key, hint->changed);
  return std::move(hint->value);
}

Result<std::vector<Value>> EtcdView::get(std::span<const std::string> keys) {
  std::vector<Value> out(keys.size());
  std::vector<std::string> unknown;
  std::vector<size_t> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (auto value = known(keys[i])) {
      out[i] = *std::move(value);
    } else {
      unknown.push_back(keys[i]);
      places.push_back(i);
    }
  }
  std::vector<Value> values;
  for (size_t at = 0; at < unknown.size(); at += kKeysPerFlight)
    TRY(ask(unknown, at, std::min(unknown.size(), at + kKeysPerFlight), &values));
  for (size_t i = 0; i < values.size(); ++i) out[places[i]] = std::move(values[i]);
  return out;
}

// One Txn: all at one revision.
Status EtcdView::ask(const std::vector<std::string>& keys, size_t first, size_t last,
                     std::vector<Value>* values) {
  etcdserverpb::TxnRequest request;
  for (size_t i = first; i < last; ++i) {
    auto* range = request.add_success()->mutable_request_range();
    range->set_key(prefix_ + keys[i]);
    range->set_revision(revision_);
  }
  etcdserverpb::TxnResponse response;
  TRY(client_.read(request, &response, stop_));
  if (response.responses_size() != static_cast<int>(last - first))
    return fail(EIO, client_.url().describe() + " left a question without an answer");
  if (revision_ == 0) revision_ = response.header().revision();
  for (size_t i = first; i < last; ++i) {
    const auto& found = response.responses(static_cast<int>(i - first)).response_range();
    KnownValues::Hint hint{std::nullopt, 0, revision_};
    if (found.kvs_size() > 0) {
      hint.value = found.kvs(0).value();
      hint.changed = found.kvs(0).mod_revision();
    }
    show(keys[i], hint.changed);
    values->push_back(hint.value);
    hints_.note(keys[i], std::move(hint));
  }
  return {};
}

Result<std::vector<Pair>> EtcdView::scan(const Range& range, size_t limit, bool keys_only) {
  std::vector<Pair> out;
  etcdserverpb::RangeRequest request;
  request.set_key(prefix_ + range.begin);
  request.set_range_end(prefix_ + range.end);
  request.set_keys_only(keys_only);
  etcdserverpb::RangeResponse response;
  while (out.size() < limit) {
    const size_t page = std::min(limit - out.size(), kPairsPerFlight);
    request.set_limit(static_cast<int64_t>(page));
    request.set_revision(revision_);
    TRY(client_.read(request, &response, stop_));
    if (revision_ == 0) revision_ = response.header().revision();
    for (auto& pair : *response.mutable_kvs()) {
      std::string key = pair.key().substr(prefix_.size());
      show(key, pair.mod_revision());
      out.push_back({std::move(key), std::move(*pair.mutable_value())});
    }
    if (response.kvs_size() < static_cast<int>(page)) break;
    request.set_key(prefix_ + out.back().key + '\0');
  }
  return out;
}

}  // namespace cider::meta::kv
