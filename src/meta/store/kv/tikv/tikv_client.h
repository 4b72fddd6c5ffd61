// Requests to the stores of a TiKV cluster: finds the region of a key, its leader, and asks there, until
// there is an answer that is no error of the region.
//
// Thread-safe. While a store is away, calls wait for up to 300 s, then ETIMEDOUT; EINTR when `stop` is
// requested.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/kv/late_stop.h"
#include "meta/store/kv/tikv/pd_client.h"

namespace tikvpb {
class BatchGetRequest;
class BatchGetResponse;
class BatchRollbackRequest;
class BatchRollbackResponse;
class CheckSecondaryLocksRequest;
class CheckSecondaryLocksResponse;
class CheckTxnStatusRequest;
class CheckTxnStatusResponse;
class CommitRequest;
class CommitResponse;
class GetRequest;
class GetResponse;
class PrewriteRequest;
class PrewriteResponse;
class ResolveLockRequest;
class ResolveLockResponse;
class ScanLockRequest;
class ScanLockResponse;
class ScanRequest;
class ScanResponse;
}  // namespace tikvpb

namespace cider::meta::kv {

class TikvClient {
 public:
  explicit TikvClient(TikvUrl url);
  ~TikvClient();

  Status open(const std::stop_token& stop);
  const TikvUrl& url() const { return url_; }
  PdClient& pd() { return pd_; }

  // Where a key lies, as far as is known.
  Result<TikvRegion> region_of(std::string_view key, const std::stop_token& stop);
  // Those of a list of keys that lie in one region.
  struct Part {
    TikvRegion region;
    std::vector<size_t> keys;  // places in the list
  };
  enum class Sent {
    answered,
    moved,    // the region is not what it was: nothing was done, split the keys anew
    unknown,  // it may have been carried out, or will be
  };
  // What comes of a part: those left in its `keys` are asked for once more, with the next round; nothing is;
  // nothing of any part.
  enum class Next { again, done, end };
  template <class Request>
  using Fill = FunctionRef<void(const Part&, Request*)>;
  template <class Response>
  using Look = FunctionRef<Result<Next>(Part&, Sent, Response&)>;
  // Asks the regions of the keys, in rounds with a pause before each but the first, until no key is left. All
  // parts of a round are asked at the same time, with what `fill` makes of them; when every one is answered
  // or given up, `look` is called for each, in their order. ETIMEDOUT and EINTR, when nothing of a round was
  // sent; the first error of a round's looks.
  template <class Request, class Response>
  Status ask_parts(std::span<const std::string> keys, const Interrupt& stop, Fill<Request> fill,
                   Look<Response> look);

  // One try to ask a region. The errors are those of looking for the store; EACCES of TLS; EINTR.
  template <class Request, class Response>
  Result<Sent> send(const TikvRegion& region, Request& request, Response* response, const Interrupt& stop);

  // Asks the region of `key` until it answers: for what may be carried out twice.
  template <class Request, class Response>
  Status ask(std::string_view key, Request& request, Response* response, const std::stop_token& stop);

  // After `moved` or `unknown`, before the next try: a pause, longer with each. ETIMEDOUT, EINTR.
  class Patience;

  uint64_t requests() const { return requests_; }
  uint64_t round_trips() const { return round_trips_; }  // requests at the same time are one

 private:
  struct Store;
  template <class Request, class Response>
  struct Flight;

  Result<std::vector<Part>> split(std::span<const std::string> keys, std::span<const size_t> places,
                                  const std::stop_token& stop);
  Result<std::shared_ptr<Store>> store(uint64_t id, const std::stop_token& stop);
  // All at the same time; they have landed when this returns. EINTR: none has left.
  template <class Request, class Response>
  Status fly(std::deque<Flight<Request, Response>>* flights, const Interrupt& stop);
  template <class Request, class Response>
  Result<Sent> outcome(const Flight<Request, Response>& flight);
  void forget(const TikvRegion& region);
  void forget_store(uint64_t id);

  const TikvUrl url_;
  PdClient pd_;
  std::mutex mutex_;
  std::map<std::string, TikvRegion, std::less<>> regions_;  // by their first key
  std::map<uint64_t, std::shared_ptr<Store>> stores_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> round_trips_{0};
};

class TikvClient::Patience {
 public:
  explicit Patience(const TikvClient& client);
  Status pause(const std::stop_token& stop);

 private:
  const TikvClient& client_;
  std::chrono::steady_clock::time_point end_;
  std::chrono::milliseconds next_{2};
};

}  // namespace cider::meta::kv
