#include "object/rate_limit.h"

#include <algorithm>

#include "object/forwarding_store.h"

namespace cider::object {
namespace {

constexpr double kBytesPerMbit = 1e6 / 8;
constexpr double kBurst = 0.1;  // seconds
constexpr size_t kPiece = 64 << 10;

class LimitedStore final : public ForwardingStore {
 public:
  LimitedStore(std::unique_ptr<ObjectStore> inner, std::shared_ptr<RateLimits> limits)
      : ForwardingStore(std::move(inner)), limits_(std::move(limits)) {}

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    TRY(limits_->download.take(out.size(), stop));
    return settle(limits_->download, out.size(), inner().get(key, offset, out, std::move(stop)));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    TRY(limits_->download.take(out.size(), stop));
    return settle(limits_->download, out.size(),
                  inner().get_in_order(key, offset, out, arrived, std::move(stop)));
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    TRY(limits_->download.take(0, stop));
    size_t size = TRY(inner().get_whole(key, out, std::move(stop)));
    limits_->download.count(size);
    return size;
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    TRY(limits_->download.take(0, stop));
    std::string bytes = TRY(inner().get_all(key, limit, std::move(stop)));
    limits_->download.count(bytes.size());
    return bytes;
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    const size_t size = total_size(data);
    TRY(limits_->upload.take(size, stop));
    return settle(limits_->upload, size, inner().put(key, data, std::move(stop)));
  }
  Result<UploadedPart> upload_part(std::string_view key, const std::string& id, int number,
                                   const BufferChain& data, std::stop_token stop) override {
    const size_t size = total_size(data);
    TRY(limits_->upload.take(size, stop));
    return settle(limits_->upload, size, inner().upload_part(key, id, number, data, std::move(stop)));
  }

 private:
  template <class T>
  static Result<T> settle(RateLimit& limit, size_t bytes, Result<T> done) {
    if (!done) limit.give_back(bytes);
    return done;
  }

  const std::shared_ptr<RateLimits> limits_;
};

}  // namespace

void RateLimit::set(int64_t mbps) {
  std::lock_guard lock(mutex_);
  if (mbps == mbps_.load() && rate_ > 0) return;
  refill();
  mbps_.store(mbps);
  rate_ = static_cast<double>(mbps) * kBytesPerMbit;
  tokens_ = mbps == 0 ? 0 : std::min(tokens_, rate_ * kBurst);
  for (Waiter& waiter : waiting_) waiter.changed.notify_one();
}

void RateLimit::refill() {
  const auto now = clock_.monotonic();
  const double passed = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(tokens_ + passed * rate_, rate_ * kBurst);
  filled_ = now;
}

Status RateLimit::take(size_t bytes, const std::stop_token& stop) {
  if (mbps() == 0) return {};
  std::unique_lock lock(mutex_);
  const auto self = waiting_.emplace(waiting_.end());
  self->left = bytes;
  Status status;
  do {
    status = await_piece(*self, lock, stop);
    if (!status) break;
    const size_t piece = std::min(self->left, kPiece);
    if (rate_ > 0) tokens_ -= static_cast<double>(piece);
    self->left -= piece;
    smallest_is_next_ = !smallest_is_next_;
    next().changed.notify_one();
  } while (self->left > 0);
  const size_t in_vain = status ? 0 : bytes - self->left;
  waiting_.erase(self);
  if (!waiting_.empty()) next().changed.notify_one();
  lock.unlock();
  give_back(in_vain);
  return status;
}

// Whose piece is the next.
RateLimit::Waiter& RateLimit::next() {
  return smallest_is_next_ ? *std::ranges::min_element(waiting_, {}, &Waiter::left) : waiting_.front();
}

Status RateLimit::await_piece(Waiter& self, std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  while (rate_ > 0) {
    const bool is_next = &next() == &self;
    if (is_next) refill();
    if (is_next && tokens_ >= 0) return {};
    if (stop.stop_requested()) return fail(EINTR);
    // Seconds at most, so that a clock which jumps does no harm.
    const std::chrono::duration<double> owed(is_next ? std::min(-tokens_ / rate_, 1.0) : 1.0);
    const double rate = rate_;
    self.changed.wait_for(lock, stop, std::chrono::ceil<std::chrono::microseconds>(owed),
                          [&] { return rate_ != rate || (&next() == &self) != is_next; });
  }
  return {};
}

void RateLimit::count(size_t bytes) {
  if (mbps() == 0) return;
  std::lock_guard lock(mutex_);
  refill();
  tokens_ -= static_cast<double>(bytes);
}

void RateLimit::give_back(size_t bytes) {
  if (bytes == 0 || mbps() == 0) return;
  std::lock_guard lock(mutex_);
  refill();
  tokens_ = std::min(tokens_ + static_cast<double>(bytes), rate_ * kBurst);
}

std::unique_ptr<ObjectStore> with_limits(std::unique_ptr<ObjectStore> inner,
                                         std::shared_ptr<RateLimits> limits) {
  return std::make_unique<LimitedStore>(std::move(inner), std::move(limits));
}

}  // namespace cider::object
