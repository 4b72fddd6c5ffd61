#include "meta/store/kv/tikv/tikv_view.h"

#include <algorithm>

#include <tikv.pb.h>
#include "meta/store/kv/keys.h"

namespace cider::meta::kv {
namespace {

constexpr size_t kPage = 4096;  // pairs of one answer

std::unexpected<Error> unknown(const tikvpb::KeyError& error) {
  return fail(EIO, "TiKV: " + error.ShortDebugString());
}

}  // namespace

Result<std::vector<Value>> TikvView::get(std::span<const std::string> keys) {
  const auto needs_no_answer = [&](const std::string& key) {
    return known_.contains(key) || expected_absent_.contains(key);
  };
  if (!std::ranges::all_of(keys, needs_no_answer)) return ask(keys);
  std::vector<Value> values;
  for (const std::string& key : keys) {
    const auto known = known_.find(key);
    values.push_back(known == known_.end() ? std::nullopt : known->second);
    if (known == known_.end()) guessed_.insert(key);
    if (known != known_.end()) shown_.insert(*known);
  }
  return values;
}

void TikvView::expect_absent(const std::string& key) {
  if (!guesses_ || doubted_.contains(key)) return;
  const auto known = guess(key);
  if (!known || !*known) expected_absent_.insert(key);
}

Result<std::vector<Value>> TikvView::ask(std::span<const std::string> keys) {
  asked_ = true;
  std::vector<std::string> whole;
  whole.reserve(keys.size());
  for (const std::string& key : keys) whole.push_back(prefix_ + key);
  std::vector<Value> values(keys.size());
  const uint64_t at = TRY(timestamp());
  TRY((client_.ask_parts<tikvpb::BatchGetRequest, tikvpb::BatchGetResponse>(
      whole, stop_,
      [&](const TikvClient::Part& part, tikvpb::BatchGetRequest* request) {
        request->set_version(at);
        for (size_t place : part.keys) request->add_keys(whole[place]);
      },
      [&](TikvClient::Part& part, TikvClient::Sent sent, tikvpb::BatchGetResponse& response) {
        return take_part(part, sent, &response, whole, &values);
      })));
  for (size_t i = 0; i < keys.size(); ++i) {
    shown_.insert_or_assign(keys[i], values[i]);
    if (is_entry_key(keys[i])) entries_.note(keys[i], {values[i], 0, static_cast<int64_t>(at)});
  }
  return values;
}

std::optional<Value> TikvView::guess(const std::string& key) {
  auto known = entries_.find(key);
  return known ? std::optional(std::move(known->value)) : std::nullopt;
}

// Leaves those in the part whose locks were in the way.
Result<TikvClient::Next> TikvView::take_part(TikvClient::Part& part, TikvClient::Sent sent,
                                             tikvpb::BatchGetResponse* response,
                                             std::span<const std::string> keys, std::vector<Value>* values) {
  if (sent != TikvClient::Sent::answered) return TikvClient::Next::again;
  if (response->has_error()) return unknown(response->error());
  std::vector<size_t> locked;
  for (tikvpb::KvPair& pair : *response->mutable_pairs()) {
    const std::string& key = pair.has_error() ? pair.error().locked().key() : pair.key();
    const auto place = std::ranges::find_if(part.keys, [&](size_t i) { return keys[i] == key; });
    if (place == part.keys.end())
      return pair.has_error() ? unknown(pair.error()) : fail(EIO, "TiKV: no such key was asked for");
    if (!pair.has_error()) {
      (*values)[*place] = std::move(*pair.mutable_value());
      continue;
    }
    TRY(resolver_.resolve(pair.error().locked(), stop_));
    locked.push_back(*place);
  }
  part.keys = std::move(locked);
  return TikvClient::Next::again;
}

Result<std::vector<Pair>> TikvView::scan(const Range& range, size_t limit, bool keys_only) {
  asked_ = true;
  std::vector<Pair> pairs;
  std::string from = prefix_ + range.begin;
  const std::string end = prefix_ + range.end;
  TikvClient::Patience patience(client_);
  while (pairs.size() < limit && from < end) {
    if (!TRY(scan_part(&from, end, limit, keys_only, &pairs))) TRY(patience.pause(stop_));
  }
  for (Pair& pair : pairs) {
    pair.key.erase(0, prefix_.size());
    if (!keys_only) shown_.insert_or_assign(pair.key, pair.value);
  }
  return pairs;
}

// A page of one region; moves `from` on. False: not all of it was to be had.
Result<bool> TikvView::scan_part(std::string* from, const std::string& end, size_t limit, bool keys_only,
                                 std::vector<Pair>* pairs) {
  const TikvRegion region = TRY(client_.region_of(*from, stop_));
  const std::string last = region.end.empty() ? end : std::min(region.end, end);
  const size_t wanted = std::min(limit - pairs->size(), kPage);
  tikvpb::ScanRequest request;
  request.set_start_key(*from);
  request.set_end_key(last);
  request.set_limit(static_cast<uint32_t>(wanted));
  request.set_version(TRY(timestamp()));
  request.set_key_only(keys_only);
  tikvpb::ScanResponse response;
  if (TRY(client_.send(region, request, &response, stop_)) != TikvClient::Sent::answered) return false;
  if (response.has_error() && !response.error().has_locked()) return unknown(response.error());
  if (response.has_error()) {
    TRY(resolver_.resolve(response.error().locked(), stop_));
    return false;
  }
  for (tikvpb::KvPair& pair : *response.mutable_pairs()) {
    if (pair.has_error()) {  // from here on once more, when it is resolved
      if (!pair.error().has_locked()) return unknown(pair.error());
      TRY(resolver_.resolve(pair.error().locked(), stop_));
      return false;
    }
    *from = pair.key() + '\0';
    pairs->push_back({std::move(*pair.mutable_key()), keys_only ? "" : std::move(*pair.mutable_value())});
  }
  if (static_cast<size_t>(response.pairs_size()) < wanted) *from = last;
  return true;
}

}  // namespace cider::meta::kv
