#include "meta/store/redis/fairness.h"

#include <algorithm>

#include "base/interruptible_sleep.h"
#include "base/version.h"
#include "meta/model/session.h"
#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

// Who commits a lot looks so often whether somebody came: JuiceFS gives up after some 20 s of bad luck.
constexpr std::chrono::seconds kNewcomers{1};
constexpr int kProbes = 3;

microseconds steady_now() {
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch());
}

// The directories whose entries change. That of a trash is watched by nobody.
std::vector<Ino> changed_dirs(const std::vector<WriteItem>& writes) {
  std::vector<Ino> out;
  const auto add = [&](Ino dir) {
    if (!is_trash(dir) && std::ranges::find(out, dir) == out.end()) out.push_back(dir);
  };
  for (const WriteItem& item : writes) {
    if (const auto* made = std::get_if<InsertEntry>(&item)) add(made->parent);
    if (const auto* replaced = std::get_if<ReplaceEntry>(&item)) add(replaced->parent);
    if (const auto* removed = std::get_if<DeleteEntry>(&item)) add(removed->parent);
  }
  return out;
}

}  // namespace

Fairness::Micros Fairness::server_now() const {
  return steady_now() + clock_offset_.load(std::memory_order_relaxed);
}

// The round trip; the shortest of a few tells the clocks' difference best.
Result<Fairness::Micros> Fairness::measure_clock(const std::stop_token& stop) {
  Micros shortest = Micros::max();
  for (int i = 0; i < kProbes; ++i) {
    const Micros sent = steady_now();
    const Reply time = TRY(client_.ask(stop, "TIME"));
    const Micros round_trip = steady_now() - sent;
    if (round_trip >= shortest) continue;
    shortest = round_trip;
    const auto seconds = parse_number<int64_t>(time[0].text()).value_or(0);
    const auto micros = parse_number<int64_t>(time[1].text()).value_or(0);
    clock_offset_ = std::chrono::seconds(seconds) + Micros(micros) - sent - round_trip / 2;
  }
  return shortest;
}

// A session without a record is about to get one.
Result<bool> Fairness::is_juicefs(uint64_t sid, const std::stop_token& stop) {
  if (auto known = is_juicefs_.find(sid); known != is_juicefs_.end()) return known->second;
  const Reply record = TRY(client_.ask(stop, "HGET", client_.key(kSessionInfos), sid));
  if (record.is_nil()) return true;
  const auto info = decode_session_info(record.text());
  return is_juicefs_[sid] = info && is_juicefs_version(info->version);
}

Status Fairness::look_around(std::stop_token stop) {
  const auto lock = TRY(looking_.lock(stop));
  next_look_ = steady_clock::now() + kNewcomers;
  Neighbours neighbours{.ours = 0};
  neighbours.round_trip = TRY(measure_clock(stop));
  const auto now = duration_cast<std::chrono::seconds>(server_now()).count();
  Commands commands;
  commands.add("GET", client_.key(counter_key(Counter::next_session)));
  commands.add("ZRANGEBYSCORE", client_.key(kSessions), now, "+inf");
  const std::vector<Reply> replies = TRY(client_.ask_all(commands, stop));
  std::map<uint64_t, bool> live;
  for (size_t i = 0; i < replies[1].size(); ++i) {
    const auto sid = parse_number<uint64_t>(replies[1][i].text());
    if (!sid) continue;
    const bool juicefs = TRY(is_juicefs(*sid, stop));
    neighbours.juicefs |= juicefs;
    if (!juicefs) ++neighbours.ours;
    if (is_juicefs_.contains(*sid)) live[*sid] = juicefs;
  }
  is_juicefs_ = std::move(live);
  sessions_ = parse_number<uint64_t>(replies[0].text()).value_or(0);
  pace_.meet(neighbours);
  return {};
}

Status Fairness::look_for_newcomers(const std::vector<Ino>& dirs, const std::stop_token& stop) {
  auto due = next_look_.load();
  const auto now = steady_clock::now();
  if (now < due || !pace_.is_busy(dirs, server_now())) return {};
  if (!next_look_.compare_exchange_strong(due, now + kNewcomers)) return {};
  const Reply sessions = TRY(client_.ask(stop, "GET", client_.key(counter_key(Counter::next_session))));
  if (parse_number<uint64_t>(sessions.text()).value_or(0) == sessions_) return {};
  return look_around(stop);
}

Status Fairness::await_turn(const std::vector<WriteItem>& writes, std::stop_token stop) {
  const std::vector<Ino> dirs = changed_dirs(writes);
  if (dirs.empty()) return {};
  // Who else is there is no reason to fail a commit.
  Status looked = look_for_newcomers(dirs, stop);
  if (!looked && looked.error().code == EINTR) return looked;
  while (true) {
    const Micros wait = pace_.delay(dirs, server_now());
    if (wait == Micros{0}) return {};
    if (!interruptible_sleep(wait, stop)) return fail(EINTR);
  }
}

}  // namespace cider::meta::redis
