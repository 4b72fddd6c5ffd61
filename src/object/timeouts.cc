#include "object/timeouts.h"

#include "object/deadlines.h"
#include "object/forwarding_store.h"

namespace cider::object {
namespace {

class TimedStore final : public ForwardingStore {
 public:
  TimedStore(std::unique_ptr<ObjectStore> inner, Timeouts timeouts)
      : ForwardingStore(std::move(inner)), timeouts_(timeouts) {}

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return within(timeouts_.get, "GET", key, stop,
                  [&](std::stop_token own) { return inner().get(key, offset, out, std::move(own)); });
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    return within(timeouts_.get, "GET", key, stop, [&](std::stop_token own) {
      return inner().get_in_order(key, offset, out, arrived, std::move(own));
    });
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return within(timeouts_.get, "GET", key, stop,
                  [&](std::stop_token own) { return inner().get_whole(key, out, std::move(own)); });
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return within(timeouts_.get, "GET", key, stop,
                  [&](std::stop_token own) { return inner().get_all(key, limit, std::move(own)); });
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return within(timeouts_.put, "PUT", key, stop,
                  [&](std::stop_token own) { return inner().put(key, data, std::move(own)); });
  }

 private:
  template <class Request>
  std::invoke_result_t<Request, std::stop_token> within(Millis limit, const char* what, std::string_view key,
                                                        const std::stop_token& stop, Request request) {
    std::stop_source own;
    std::stop_callback pass_on(stop, [&own] { own.request_stop(); });
    const Deadlines::Id id = deadlines_.add(Monotonic::now() + limit, [&own] { own.request_stop(); });
    auto done = request(own.get_token());
    deadlines_.cancel(id);
    if (!done && done.error().code == EINTR && !stop.stop_requested()) {
      return fail(ETIMEDOUT, std::string(what) + " " + std::string(key) + " was not done within " +
                                 std::to_string(limit.count()) + " ms");
    }
    return done;
  }

  const Timeouts timeouts_;
  Deadlines deadlines_{"cider-timeout"};
};

}  // namespace

std::unique_ptr<ObjectStore> with_timeouts(std::unique_ptr<ObjectStore> inner, Timeouts timeouts) {
  return std::make_unique<TimedStore>(std::move(inner), timeouts);
}

}  // namespace cider::object
