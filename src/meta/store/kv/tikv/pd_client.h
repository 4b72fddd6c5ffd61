// The placement driver of a TiKV cluster: gives out timestamps, and knows where regions lie.
//
// Timestamps of all threads are asked for on one stream, many at once, by a thread of its own: so one may be
// asked for before it is needed. Each is given once.
//
// Thread-safe. While no placement driver answers, calls wait for up to 300 s, then ETIMEDOUT; EINTR when
// `stop` is requested.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/tikv/tikv_url.h"

namespace cider::meta::kv {

struct TikvRegion {
  uint64_t id = 0;
  uint64_t conf_version = 0;
  uint64_t version = 0;
  uint64_t peer = 0;  // its leader
  uint64_t store = 0;
  std::string begin;  // keys as we know them
  std::string end;    // empty: no end
  bool contains(std::string_view key) const { return begin <= key && (end.empty() || key < end); }
};

// Timestamps are milliseconds << 18 | a number.
constexpr int kLogicalBits = 18;
constexpr int64_t physical_of(uint64_t timestamp) {
  return static_cast<int64_t>(timestamp >> kLogicalBits);
}
constexpr uint64_t timestamps_of(std::chrono::milliseconds time) {
  return static_cast<uint64_t>(time.count()) << kLogicalBits;
}

class PdClient {
 public:
  explicit PdClient(TikvUrl url);
  ~PdClient();

  // Finds the cluster.
  Status open(const std::stop_token& stop);

  // A timestamp that was asked for: greater than all that were given before, by anybody.
  class Timestamp;
  // `count` of them that follow each other, with nothing between: the first is what is awaited.
  std::shared_ptr<Timestamp> ask_timestamp(uint32_t count = 1);
  // One that needs no waiting for.
  static std::shared_ptr<Timestamp> known_timestamp(uint64_t value);
  Result<uint64_t> await(const std::shared_ptr<Timestamp>& asked, const std::stop_token& stop);
  Result<uint64_t> timestamp(const std::stop_token& stop) { return await(ask_timestamp(), stop); }

  Result<TikvRegion> region_of(std::string_view key, const std::stop_token& stop);
  Result<std::string> address_of(uint64_t store, const std::stop_token& stop);
  // What is older may be forgotten. It never goes back. Tried once: EIO.
  Status move_safe_point(uint64_t safe_point, const std::stop_token& stop);

  // Of the whole cluster's servers.
  TlsJudge& judge() { return judge_; }

 private:
  struct Driver;  // a connection

  template <class Call>
  Status ask(const Call& call, const std::stop_token& stop);
  Result<std::shared_ptr<Driver>> driver(const std::stop_token& stop);
  Result<std::shared_ptr<Driver>> find_leader(const std::stop_token& stop);
  void forget(const std::shared_ptr<Driver>& failed);
  void serve(const std::stop_token& stop);
  bool serve_stream(const std::shared_ptr<Driver>& driver, const std::stop_token& stop);

  const TikvUrl url_;
  TlsJudge judge_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::shared_ptr<Driver> driver_;
  std::vector<std::shared_ptr<Timestamp>> asked_;
  std::jthread server_;  // last: it uses the others
};

}  // namespace cider::meta::kv
