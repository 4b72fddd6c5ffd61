#include "meta/store/kv/tikv/pd_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include <pd.grpc.pb.h>
#include "base/interruptible_sleep.h"
#include "meta/store/kv/grpc_call.h"
#include "meta/store/kv/tikv/region_key.h"

namespace cider::meta::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kPatience{300};
constexpr seconds kOneCall{3};
constexpr milliseconds kPause{100};

// "http://HOST:PORT" as members are listed.
std::string host_of(std::string url) {
  const size_t scheme = url.find("://");
  return scheme == url.npos ? url : url.substr(scheme + 3);
}

}  // namespace

struct PdClient::Driver {
  explicit Driver(const std::shared_ptr<grpc::Channel>& channel) : pd(pdpb::PD::NewStub(channel)) {}
  std::unique_ptr<pdpb::PD::Stub> pd;
  uint64_t cluster = 0;
};

class PdClient::Timestamp {
 public:
  explicit Timestamp(uint32_t asked, std::optional<uint64_t> given = {}) : count(asked), first(given) {}
  const uint32_t count;
  std::optional<uint64_t> first;  // under the client's lock
};

PdClient::PdClient(TikvUrl url) : url_(std::move(url)), judge_(url_.tls) {}

PdClient::~PdClient() = default;

Status PdClient::open(const std::stop_token& stop) {
  TRY(driver(stop));
  server_ = std::jthread([this](const std::stop_token& end) { serve(end); });
  return {};
}

// Any of them tells who leads.
Result<std::shared_ptr<PdClient::Driver>> PdClient::find_leader(const std::stop_token& stop) {
  std::string why = "no placement driver leads";
  Status refused;
  for (const std::string& host : url_.placement_drivers) {
    auto driver = std::make_shared<Driver>(TRY(open_channel(host, url_.tls)));
    GrpcCall call(stop, kOneCall);
    pdpb::GetMembersResponse members;
    const grpc::Status status = driver->pd->GetMembers(call.context(), {}, &members);
    if (stop.stop_requested()) return fail(EINTR);
    if (!status.ok()) why = status.error_message();
    if (Status judged = judge_.judge(status, host); !judged) refused = std::move(judged);
    if (!status.ok() || members.leader().client_urls().empty()) continue;
    const std::string leader = host_of(members.leader().client_urls(0));
    if (leader != host) driver = std::make_shared<Driver>(TRY(open_channel(leader, url_.tls)));
    driver->cluster = members.header().cluster_id();
    return driver;
  }
  TRY(std::move(refused));
  return fail(EAGAIN, url_.describe() + ": " + why);
}

Result<std::shared_ptr<PdClient::Driver>> PdClient::driver(const std::stop_token& stop) {
  {
    std::lock_guard lock(mutex_);
    if (driver_) return driver_;
  }
  const auto end = steady_clock::now() + kPatience;
  while (true) {
    auto found = find_leader(stop);
    if (found) {
      std::lock_guard lock(mutex_);
      driver_ = *found;
      return found;
    }
    if (found.error().code != EAGAIN) return found;
    if (steady_clock::now() > end) return fail(ETIMEDOUT, found.error().message);
    if (!interruptible_sleep(kPause, stop)) return fail(EINTR);
  }
}

void PdClient::forget(const std::shared_ptr<Driver>& failed) {
  std::lock_guard lock(mutex_);
  if (driver_ == failed) driver_.reset();
}

template <class Call>
Status PdClient::ask(const Call& call, const std::stop_token& stop) {
  const auto end = steady_clock::now() + kPatience;
  while (true) {
    const std::shared_ptr<Driver> driver = TRY(this->driver(stop));
    GrpcCall one(stop, kOneCall);
    std::string why;
    if (call(*driver, one.context(), &why)) return {};
    if (stop.stop_requested()) return fail(EINTR);
    forget(driver);
    if (steady_clock::now() > end) return fail(ETIMEDOUT, url_.describe() + ": " + why);
    if (!interruptible_sleep(kPause, stop)) return fail(EINTR);
  }
}

Result<TikvRegion> PdClient::region_of(std::string_view key, const std::stop_token& stop) {
  pdpb::GetRegionResponse response;
  TRY(ask(
      [&](Driver& driver, grpc::ClientContext* context, std::string* why) {
        pdpb::GetRegionRequest request;
        request.mutable_header()->set_cluster_id(driver.cluster);
        request.set_region_key(to_region_key(key));
        const grpc::Status status = driver.pd->GetRegion(context, request, &response);
        *why = status.ok() ? "a region has no leader" : status.error_message();
        return status.ok() && response.has_region() && response.leader().store_id() != 0;
      },
      stop));
  TikvRegion region;
  region.id = response.region().id();
  region.conf_version = response.region().region_epoch().conf_ver();
  region.version = response.region().region_epoch().version();
  region.peer = response.leader().id();
  region.store = response.leader().store_id();
  if (!response.region().start_key().empty())
    region.begin = TRY(from_region_key(response.region().start_key()));
  if (!response.region().end_key().empty()) region.end = TRY(from_region_key(response.region().end_key()));
  return region;
}

Result<std::string> PdClient::address_of(uint64_t store, const std::stop_token& stop) {
  pdpb::GetStoreResponse response;
  TRY(ask(
      [&](Driver& driver, grpc::ClientContext* context, std::string* why) {
        pdpb::GetStoreRequest request;
        request.mutable_header()->set_cluster_id(driver.cluster);
        request.set_store_id(store);
        const grpc::Status status = driver.pd->GetStore(context, request, &response);
        *why = status.error_message();
        return status.ok() && !response.store().address().empty();
      },
      stop));
  return response.store().address();
}

Status PdClient::move_safe_point(uint64_t safe_point, const std::stop_token& stop) {
  const std::shared_ptr<Driver> driver = TRY(this->driver(stop));
  GrpcCall call(stop, kOneCall);
  pdpb::UpdateGCSafePointRequest request;
  request.mutable_header()->set_cluster_id(driver->cluster);
  request.set_safe_point(safe_point);
  pdpb::UpdateGCSafePointResponse response;
  const grpc::Status status = driver->pd->UpdateGCSafePoint(call.context(), request, &response);
  if (!status.ok()) return fail(EIO, url_.describe() + ": " + status.error_message());
  return {};
}

std::shared_ptr<PdClient::Timestamp> PdClient::known_timestamp(uint64_t value) {
  return std::make_shared<Timestamp>(1, value);
}

std::shared_ptr<PdClient::Timestamp> PdClient::ask_timestamp(uint32_t count) {
  auto asked = std::make_shared<Timestamp>(count);
  std::lock_guard lock(mutex_);
  asked_.push_back(asked);
  changed_.notify_all();
  return asked;
}

Result<uint64_t> PdClient::await(const std::shared_ptr<Timestamp>& asked, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto end = steady_clock::now() + kPatience;
  const bool answered = changed_.wait_until(lock, stop, end, [&] { return asked->first.has_value(); });
  if (answered) return *asked->first;
  if (stop.stop_requested()) return fail(EINTR);
  return fail(ETIMEDOUT, url_.describe() + " gives no timestamps");
}

void PdClient::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto driver = this->driver(stop);
    if (driver && serve_stream(*driver, stop)) return;
    if (driver) forget(*driver);
    (void)interruptible_sleep(kPause, stop);
  }
}

// False: the stream broke. What was asked for on it is asked for again.
bool PdClient::serve_stream(const std::shared_ptr<Driver>& driver, const std::stop_token& stop) {
  GrpcCall call(stop);
  const auto stream = driver->pd->Tso(call.context());
  std::vector<std::shared_ptr<Timestamp>> batch;
  const auto give_back = [&] {
    std::lock_guard lock(mutex_);
    asked_.insert(asked_.begin(), batch.begin(), batch.end());
    return false;
  };
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !asked_.empty(); })) return true;
      batch = std::exchange(asked_, {});
    }
    pdpb::TsoRequest request;
    request.mutable_header()->set_cluster_id(driver->cluster);
    uint32_t count = 0;
    for (const auto& asked : batch) count += asked->count;
    request.set_count(count);
    pdpb::TsoResponse response;
    if (!stream->Write(request) || !stream->Read(&response)) return give_back();
    if (response.header().error().type() != 0 || response.count() != count) return give_back();
    const uint64_t last = (static_cast<uint64_t>(response.timestamp().physical()) << kLogicalBits) +
                          static_cast<uint64_t>(response.timestamp().logical());
    std::lock_guard lock(mutex_);
    uint64_t next = last + 1 - count;
    for (const auto& asked : batch) {
      asked->first = next;
      next += asked->count;
    }
    changed_.notify_all();
  }
}

}  // namespace cider::meta::kv
