// Requests to the stores of a TiKV cluster: finds the region of a key, its leader, and asks there, until
// there is an answer that is no error of the region.
//
// Thread-safe. While a store is away, calls wait for up to 300 s, then ETIMEDOUT; EINTR when `stop` is
// requested.
#pragma once

#include <atomic>
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
  // What comes after a part: those left in its `keys` once more, when all others have been asked; the other
  // parts; nothing.
  enum class Next { again, others, end };
  using AskPart = FunctionRef<Result<Next>(Part&)>;
  // Calls `ask` for the parts of the list, until it has been answered for every key; with a pause before each
  // round but the first. ETIMEDOUT, EINTR, and the errors of `ask`.
  Status each_part(std::span<const std::string> keys, const std::stop_token& stop, AskPart ask);

  enum class Sent {
    answered,
    moved,    // the region is not what it was: nothing was done, split the keys anew
    unknown,  // it may have been carried out, or will be
  };
  // One try to ask a region. The errors are those of looking for the store; EACCES of TLS; EINTR.
  template <class Request, class Response>
  Result<Sent> send(const TikvRegion& region, Request& request, Response* response,
                    const std::stop_token& stop);

  // Asks the region of `key` until it answers: for what may be carried out twice.
  template <class Request, class Response>
  Status ask(std::string_view key, Request& request, Response* response, const std::stop_token& stop);

  // After `moved` or `unknown`, before the next try: a pause, longer with each. ETIMEDOUT, EINTR.
  class Patience;

  uint64_t requests() const { return requests_; }

 private:
  struct Store;

  Result<std::vector<Part>> split(std::span<const std::string> keys, const std::stop_token& stop);
  Result<std::shared_ptr<Store>> store(uint64_t id, const std::stop_token& stop);
  void forget(const TikvRegion& region);
  void forget_store(uint64_t id);

  const TikvUrl url_;
  PdClient pd_;
  std::mutex mutex_;
  std::map<std::string, TikvRegion, std::less<>> regions_;  // by their first key
  std::map<uint64_t, std::shared_ptr<Store>> stores_;
  std::atomic<uint64_t> requests_{0};
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
