#include "object/retry.h"

#include <algorithm>
#include <random>

#include "base/interruptible_sleep.h"
#include "base/log.h"
#include "object/forwarding_store.h"

namespace cider::object {
namespace {

Millis with_jitter(Millis pause) {
  thread_local std::minstd_rand random(std::random_device{}());
  return Millis(std::uniform_int_distribution<int64_t>(pause.count() / 2, pause.count())(random));
}

class RetryingStore final : public ForwardingStore {
 public:
  RetryingStore(std::unique_ptr<ObjectStore> inner, RetryPolicy policy)
      : ForwardingStore(std::move(inner)), policy_(policy) {}

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return repeat(policy_.reads, stop, [&] { return inner().get(key, offset, out, stop); });
  }
  // What has arrived is not announced again: the next try brings the same bytes.
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    size_t announced = 0;
    const auto further = [&](size_t bytes) {
      if (bytes <= announced) return;
      announced = bytes;
      arrived(bytes);
    };
    return repeat(policy_.reads, stop, [&] { return inner().get_in_order(key, offset, out, further, stop); });
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return repeat(policy_.reads, stop, [&] { return inner().get_whole(key, out, stop); });
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return repeat(policy_.puts, stop, [&] { return inner().put(key, data, stop); });
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return repeat(policy_.others, stop, [&] { return inner().get_all(key, limit, stop); });
  }
  Status remove(std::string_view key) override {
    return repeat(policy_.others, {}, [&] { return inner().remove(key); });
  }
  Status remove_many(std::span<const std::string> keys) override {
    return repeat(policy_.others, {}, [&] { return inner().remove_many(keys); });
  }
  Result<ObjectInfo> head(std::string_view key) override {
    return repeat(policy_.others, {}, [&] { return inner().head(key); });
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return repeat(policy_.others, {}, [&] { return inner().list(prefix, after, limit); });
  }

 private:
  template <class Request>
  std::invoke_result_t<Request> repeat(const Retries& retries, const std::stop_token& stop, Request request) {
    const auto began = Monotonic::now();
    Millis pause = policy_.first_pause;
    for (int attempt = 1;; attempt++) {
      auto done = request();
      if (done || !is_transient(done.error().code) || attempt >= retries.tries) return done;
      if (done.error().code == EAGAIN) pause = std::max(pause, policy_.slow_down_pause);
      const Millis wait = with_jitter(pause);
      if (Monotonic::now() + wait > began + retries.deadline) return done;
      log::debug("storage " + name() + ": will try again: " + done.error().to_string());
      if (!interruptible_sleep(wait, stop)) return fail(EINTR);
      pause = std::min(pause * 2, std::max(policy_.longest_pause, pause));
    }
  }

  const RetryPolicy policy_;
};

}  // namespace

bool is_transient(int code) {
  switch (code) {
    case EIO:
    case EAGAIN:
    case ETIMEDOUT:
    case EBUSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
      return true;
    default:
      return false;
  }
}

std::unique_ptr<ObjectStore> with_retries(std::unique_ptr<ObjectStore> inner, RetryPolicy policy) {
  return std::make_unique<RetryingStore>(std::move(inner), policy);
}

}  // namespace cider::object
