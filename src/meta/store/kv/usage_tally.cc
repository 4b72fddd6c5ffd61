#include "meta/store/kv/usage_tally.h"

#include <map>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "meta/store/client_usage.h"
#include "meta/store/kv/changes.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/scans.h"

namespace cider::meta::kv {
namespace {

Status add_to_counters(const UsageRead& usage, Workspace& work) {
  return apply_all({AddUsage{usage.space, usage.inodes}}, work);
}

std::vector<std::string> keys_of(std::string_view client) {
  return {total_key(client), counted_key(client), counter_key(counter_name(Counter::used_space)),
          counter_key(counter_name(Counter::total_inodes))};
}

}  // namespace

std::string encode_total(const UsageRead& total) {
  return ByteWriter().u64(static_cast<uint64_t>(total.space)).u64(static_cast<uint64_t>(total.inodes)).take();
}

Result<UsageRead> decode_total(std::string_view record) {
  ByteReader reader(record);
  UsageRead total;
  total.space = static_cast<int64_t>(reader.u64());
  total.inodes = static_cast<int64_t>(reader.u64());
  if (!reader.ok() || reader.remaining() > 0) return fail(EIO, "a client's usage: " + to_hex(record));
  return total;
}

std::string encode_counted(const Counted& counted) {
  return ByteWriter()
      .u64(counted.sid)
      .raw(encode_total(counted.usage))
      .u64(static_cast<uint64_t>(counted.gone))
      .take();
}

Result<Counted> decode_counted(std::string_view record) {
  ByteReader reader(record);
  Counted counted;
  counted.sid = reader.u64();
  counted.usage.space = static_cast<int64_t>(reader.u64());
  counted.usage.inodes = static_cast<int64_t>(reader.u64());
  counted.gone = static_cast<int64_t>(reader.u64());
  if (!reader.ok() || reader.remaining() > 0) return fail(EIO, "a client's counted usage: " + to_hex(record));
  return counted;
}

UsageTally::UsageTally(std::function<void(const UsageRead&)> counted)
    : tell_(std::move(counted)), client_(random_client_name()) {}

// With what operations of the same commit have added.
Result<UsageRead> UsageTally::total(const Workspace& work) const {
  const Value* put = work.changed(total_key(client_));
  if (put && *put) return decode_total(**put);
  return total_;
}

// Where there is no record, nobody has counted for this client.
Result<Counted> UsageTally::counted(Workspace& work) const {
  const Value record = TRY(work.get(counted_key(client_), Rely::yes));
  if (record) return decode_counted(*record);
  return counted_;
}

Status UsageTally::add(const std::vector<WriteItem>& writes, Workspace& work) {
  const UsageRead added = usage_of(writes);
  if (is_zero(added)) return {};
  UsageRead sum = TRY(total(work));
  sum.space += added.space;
  sum.inodes += added.inodes;
  work.put(total_key(client_), encode_total(sum));
  return {};
}

// What somebody else has counted for this client counts twice until it counts itself.
Result<UsageRead> UsageTally::uncounted(const Workspace& work) const {
  const Value* put = work.changed(counted_key(client_));
  const UsageRead counted = put && *put ? TRY(decode_counted(**put)).usage : counted_.usage;
  return difference(TRY(total(work)), counted);
}

std::vector<std::string> UsageTally::keys() const {
  std::vector<std::string> keys = keys_of(client_);
  keys.erase(keys.begin());  // the total is known
  return keys;
}

Status UsageTally::count(Workspace& work) {
  TRY(work.load(keys()));
  Counted record = TRY(counted(work));
  const UsageRead sum = TRY(total(work));
  const UsageRead left = difference(sum, record.usage);
  if (is_zero(left) && is_zero(difference(sum, counted_.usage))) return {};
  TRY(add_to_counters(left, work));
  record.usage = sum;
  record.gone = 0;
  work.put(counted_key(client_), encode_counted(record));
  return {};
}

Status UsageTally::join(uint64_t sid, Workspace& work) {
  Counted record = TRY(counted(work));
  record.sid = sid;
  record.gone = 0;
  work.put(counted_key(client_), encode_counted(record));
  return {};
}

Status UsageTally::leave(Workspace& work) {
  if (!is_used_) return {};
  TRY(count(work));
  work.erase(total_key(client_));
  work.erase(counted_key(client_));
  return {};
}

Status UsageTally::drop(Workspace& work) {
  if (!is_used_) return {};
  Counted record = counted_;
  record.usage = TRY(total(work));
  work.put(counted_key(client_), encode_counted(record));
  return {};
}

// Only our own bytes are decoded here.
void UsageTally::made(const Changes& changes) {
  const auto put = [&](const std::string& key) -> const std::string* {
    const auto found = changes.keys.find(key);
    if (found == changes.keys.end() || !found->second) return nullptr;
    is_used_ = true;
    return &*found->second;
  };
  if (const std::string* record = put(total_key(client_))) total_ = decode_total(*record).value_or(total_);
  if (const std::string* record = put(counted_key(client_))) {
    const Counted now = decode_counted(*record).value_or(counted_);
    tell_(difference(now.usage, counted_.usage));
    counted_ = now;
  }
}

Result<std::vector<LeftTally>> left_tallies(View& view, std::string_view own, int64_t now) {
  struct Records {
    UsageRead total;
    Counted counted;
  };
  std::map<std::string, Records, std::less<>> clients;
  for (const Pair& pair : TRY(tally_records(view))) {
    const auto key = parse_tally_key(pair.key);
    if (!key || key->client == own) continue;
    Records& records = clients[std::string(key->client)];
    if (key->is_total)
      records.total = TRY(decode_total(pair.value));
    else
      records.counted = TRY(decode_counted(pair.value));
  }
  std::vector<LeftTally> left;
  if (clients.empty()) return left;
  std::set<uint64_t> live;
  for (const SessionRecord& session : TRY(list_sessions(view))) live.insert(session.sid);
  for (const auto& [client, records] : clients) {
    const Counted& counted = records.counted;
    if (live.contains(counted.sid)) continue;
    const bool is_counted = is_zero(difference(records.total, counted.usage));
    if (!is_counted || counted.gone == 0 || counted.gone + kLeftUsageKept <= now)
      left.push_back({client, counted.sid});
  }
  return left;
}

Status settle_tally(const LeftTally& left, int64_t now, Workspace& work) {
  TRY(work.load(keys_of(left.client)));
  const Value total = TRY(work.get(total_key(left.client), Rely::yes));
  const Value record = TRY(work.get(counted_key(left.client), Rely::yes));
  if (!total && !record) return {};
  const UsageRead sum = total ? TRY(decode_total(*total)) : UsageRead{};
  Counted counted = record ? TRY(decode_counted(*record)) : Counted{};
  if (counted.sid != left.sid) return {};  // it is back
  const UsageRead missing = total ? difference(sum, counted.usage) : UsageRead{};
  if (is_zero(missing) && counted.gone != 0 && counted.gone + kLeftUsageKept <= now) {
    work.erase(total_key(left.client));
    work.erase(counted_key(left.client));
    return {};
  }
  TRY(add_to_counters(missing, work));
  if (total) counted.usage = sum;
  if (counted.gone == 0 || !is_zero(missing)) counted.gone = now;
  work.put(counted_key(left.client), encode_counted(counted));
  return {};
}

}  // namespace cider::meta::kv
