#include "meta/store/kv/tikv/tikv_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include <tikv.grpc.pb.h>
#include "base/interruptible_sleep.h"
#include "meta/store/kv/grpc_call.h"

namespace cider::meta::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kPatience{300};
constexpr seconds kOneCall{20};
constexpr milliseconds kLongestPause{200};

}  // namespace

// A connection to a store, and its methods by their requests.
struct TikvClient::Store {
  explicit Store(const std::shared_ptr<grpc::Channel>& channel) : tikv(tikvpb::Tikv::NewStub(channel)) {}

#define CIDER_TIKV_CALL(method, message)                                            \
  auto start(grpc::ClientContext* context, const tikvpb::message##Request& request, \
             grpc::CompletionQueue* queue) {                                        \
    return tikv->Async##method(context, request, queue);                            \
  }
  CIDER_TIKV_CALL(KvGet, Get)
  CIDER_TIKV_CALL(KvBatchGet, BatchGet)
  CIDER_TIKV_CALL(KvScan, Scan)
  CIDER_TIKV_CALL(KvPrewrite, Prewrite)
  CIDER_TIKV_CALL(KvCommit, Commit)
  CIDER_TIKV_CALL(KvBatchRollback, BatchRollback)
  CIDER_TIKV_CALL(KvCheckTxnStatus, CheckTxnStatus)
  CIDER_TIKV_CALL(KvCheckSecondaryLocks, CheckSecondaryLocks)
  CIDER_TIKV_CALL(KvScanLock, ScanLock)
  CIDER_TIKV_CALL(KvResolveLock, ResolveLock)
#undef CIDER_TIKV_CALL

  const std::unique_ptr<tikvpb::Tikv::Stub> tikv;
};

// A request to a region.
template <class Request, class Response>
struct TikvClient::Flight {
  Flight(const TikvRegion& to, std::shared_ptr<Store> there, Request& message, Response& answer)
      : region(to), store(std::move(there)), request(message), response(answer) {}
  void start(grpc::CompletionQueue* queue, const std::stop_token& stop) {
    response.Clear();
    reader = store->start(call.emplace(stop, kOneCall).context(), request, queue);
    reader->Finish(&response, &status, this);
  }
  const TikvRegion& region;
  const std::shared_ptr<Store> store;
  Request& request;
  Response& response;
  grpc::Status status;
  std::optional<GrpcCall> call;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
};

TikvClient::TikvClient(TikvUrl url) : url_(std::move(url)), pd_(url_) {}
TikvClient::~TikvClient() = default;

Status TikvClient::open(const std::stop_token& stop) {
  return pd_.open(stop);
}

TikvClient::Patience::Patience(const TikvClient& client)
    : client_(client), end_(steady_clock::now() + kPatience) {}

Status TikvClient::Patience::pause(const std::stop_token& stop) {
  if (steady_clock::now() > end_) return fail(ETIMEDOUT, client_.url_.describe() + " does not answer");
  if (!interruptible_sleep(next_, stop)) return fail(EINTR);
  next_ = std::min(next_ * 2, kLongestPause);
  return {};
}

Result<TikvRegion> TikvClient::region_of(std::string_view key, const std::stop_token& stop) {
  {
    std::lock_guard lock(mutex_);
    auto after = regions_.upper_bound(key);
    if (after != regions_.begin() && std::prev(after)->second.contains(key)) return std::prev(after)->second;
  }
  TikvRegion region = TRY(pd_.region_of(key, stop));
  std::lock_guard lock(mutex_);
  std::erase_if(regions_, [&](const auto& known) {  // what it overlaps is no more
    const TikvRegion& other = known.second;
    return (region.end.empty() || other.begin < region.end) &&
           (other.end.empty() || region.begin < other.end);
  });
  regions_.insert_or_assign(region.begin, region);
  return region;
}

Result<std::vector<TikvClient::Part>> TikvClient::split(std::span<const std::string> keys,
                                                        std::span<const size_t> places,
                                                        const std::stop_token& stop) {
  std::vector<Part> parts;
  for (size_t i : places) {
    auto known = std::ranges::find_if(parts, [&](const Part& part) { return part.region.contains(keys[i]); });
    if (known == parts.end()) known = parts.insert(parts.end(), Part{TRY(region_of(keys[i], stop)), {}});
    known->keys.push_back(i);
  }
  return parts;
}

template <class Request, class Response>
Status TikvClient::ask_parts(std::span<const std::string> keys, const Interrupt& stop, Fill<Request> fill,
                             Look<Response> look) {
  std::vector<size_t> open(keys.size());  // not answered yet
  std::iota(open.begin(), open.end(), 0);
  Patience patience(*this);
  for (bool first = true; !open.empty(); first = false) {
    if (!first) TRY(patience.pause(stop.now));
    std::vector<Part> parts = TRY(split(keys, open, stop.now));
    std::vector<Request> requests(parts.size());
    std::vector<Response> responses(parts.size());
    std::deque<Flight<Request, Response>> flights;
    for (size_t i = 0; i < parts.size(); ++i) {
      fill(parts[i], &requests[i]);
      flights.emplace_back(parts[i].region, TRY(store(parts[i].region.store, stop.now)), requests[i],
                           responses[i]);
    }
    TRY(fly(&flights, stop));
    open.clear();
    bool ends = false;
    Status failed;
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto sent = outcome(flights[i]);
      const Result<Next> next = sent ? look(parts[i], *sent, responses[i]) : fail(sent.error());
      if (!next && failed) failed = fail(next.error());
      ends |= next == Next::end;
      if (next == Next::again) open.insert(open.end(), parts[i].keys.begin(), parts[i].keys.end());
    }
    TRY(std::move(failed));
    if (ends) return {};
  }
  return {};
}

void TikvClient::forget(const TikvRegion& region) {
  std::lock_guard lock(mutex_);
  auto known = regions_.find(region.begin);
  if (known != regions_.end() && known->second.id == region.id) regions_.erase(known);
}

void TikvClient::forget_store(uint64_t id) {
  std::lock_guard lock(mutex_);
  stores_.erase(id);
}

Result<std::shared_ptr<TikvClient::Store>> TikvClient::store(uint64_t id, const std::stop_token& stop) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = stores_.find(id); known != stores_.end()) return known->second;
  }
  const std::string address = TRY(pd_.address_of(id, stop));
  auto opened = std::make_shared<Store>(TRY(open_channel(address, url_.tls)));
  std::lock_guard lock(mutex_);
  return stores_.try_emplace(id, std::move(opened)).first->second;
}

template <class Request, class Response>
Status TikvClient::fly(std::deque<Flight<Request, Response>>* flights, const Interrupt& stop) {
  if (stop.now.stop_requested()) return fail(EINTR);
  ++round_trips_;
  requests_ += flights->size();
  grpc::CompletionQueue landed;
  for (Flight<Request, Response>& flight : *flights) {
    tikvpb::Context* where = flight.request.mutable_context();
    where->set_region_id(flight.region.id);
    where->mutable_region_epoch()->set_conf_ver(flight.region.conf_version);
    where->mutable_region_epoch()->set_version(flight.region.version);
    where->mutable_peer()->set_id(flight.region.peer);
    where->mutable_peer()->set_store_id(flight.region.store);
    flight.start(&landed, stop.late);
  }
  void* one = nullptr;
  bool ok = false;
  for (size_t i = 0; i < flights->size(); ++i) landed.Next(&one, &ok);
  return {};
}

template <class Request, class Response>
Result<TikvClient::Sent> TikvClient::outcome(const Flight<Request, Response>& flight) {
  if (flight.status.ok() && !flight.response.has_region_error()) return Sent::answered;
  forget(flight.region);
  if (flight.status.ok())
    return flight.response.region_error().has_undetermined_result() ? Sent::unknown : Sent::moved;
  forget_store(flight.region.store);
  TRY(pd_.judge().judge(flight.status, "store " + std::to_string(flight.region.store)));
  return Sent::unknown;
}

template <class Request, class Response>
Result<TikvClient::Sent> TikvClient::send(const TikvRegion& region, Request& request, Response* response,
                                          const Interrupt& stop) {
  std::deque<Flight<Request, Response>> flights;
  flights.emplace_back(region, TRY(store(region.store, stop.now)), request, *response);
  TRY(fly(&flights, stop));
  return outcome(flights.front());
}

template <class Request, class Response>
Status TikvClient::ask(std::string_view key, Request& request, Response* response,
                       const std::stop_token& stop) {
  Patience patience(*this);
  while (true) {
    const TikvRegion region = TRY(region_of(key, stop));
    if (TRY(send(region, request, response, stop)) == Sent::answered) return {};
    TRY(patience.pause(stop));
  }
}

#define CIDER_TIKV_SENDS(message)                                                                          \
  template Result<TikvClient::Sent> TikvClient::send(const TikvRegion&, tikvpb::message##Request&,         \
                                                     tikvpb::message##Response*, const Interrupt&);        \
  template Status TikvClient::ask(std::string_view, tikvpb::message##Request&, tikvpb::message##Response*, \
                                  const std::stop_token&);
CIDER_TIKV_SENDS(Get)
CIDER_TIKV_SENDS(BatchGet)
CIDER_TIKV_SENDS(Scan)
CIDER_TIKV_SENDS(Prewrite)
CIDER_TIKV_SENDS(Commit)
CIDER_TIKV_SENDS(BatchRollback)
CIDER_TIKV_SENDS(CheckTxnStatus)
CIDER_TIKV_SENDS(CheckSecondaryLocks)
CIDER_TIKV_SENDS(ScanLock)
CIDER_TIKV_SENDS(ResolveLock)
#undef CIDER_TIKV_SENDS

#define CIDER_TIKV_ASKS_PARTS(message)                                                  \
  template Status TikvClient::ask_parts(std::span<const std::string>, const Interrupt&, \
                                        Fill<tikvpb::message##Request>, Look<tikvpb::message##Response>);
CIDER_TIKV_ASKS_PARTS(BatchGet)
CIDER_TIKV_ASKS_PARTS(Prewrite)
CIDER_TIKV_ASKS_PARTS(BatchRollback)
CIDER_TIKV_ASKS_PARTS(CheckSecondaryLocks)
CIDER_TIKV_ASKS_PARTS(ResolveLock)
#undef CIDER_TIKV_ASKS_PARTS

}  // namespace cider::meta::kv
