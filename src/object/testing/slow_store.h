// A store whose answers come in pieces that the test lets through, and which notes what it was asked for. For
// tests.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "object/object_store.h"

namespace cider::object::testing {

// Thread-safe. Only reading is changed.
class SlowStore final : public ObjectStore {
 public:
  struct Asked {
    std::string key;
    uint64_t offset = 0;
    size_t size = 0;
    bool operator==(const Asked&) const = default;
  };

  explicit SlowStore(std::unique_ptr<ObjectStore> inner) : inner_(std::move(inner)) {}

  // Of each object, bytes before `offset` come at once; whoever reads further waits (or fails, with `code`).
  void hold_at(uint64_t offset, int code = 0) {
    std::lock_guard lock(mutex_);
    border_ = offset;
    code_ = code;
    changed_.notify_all();
  }
  void release() { hold_at(UINT64_MAX); }
  std::vector<Asked> asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  void forget() {
    std::lock_guard lock(mutex_);
    asked_.clear();
  }

  std::string name() const override { return "slow " + inner_->name(); }
  Status create() override { return inner_->create(); }
  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return get_in_order(key, offset, out, [](size_t) {}, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    asked_.push_back({std::string(key), offset, out.size()});
    const uint64_t border = border_;
    const int code = code_;  // a request that has come is not changed by release()
    const size_t front = border > offset ? std::min<uint64_t>(border - offset, out.size()) : 0;
    lock.unlock();
    TRY(inner_->get(key, offset, out.first(front), stop));
    if (front > 0) arrived(front);
    if (front == out.size()) return {};
    lock.lock();
    if (code != 0) return fail(code, "cut off");
    if (!changed_.wait(lock, stop, [&] { return border_ > border; })) return fail(EINTR);
    lock.unlock();
    TRY(inner_->get(key, offset + front, out.subspan(front), stop));
    arrived(out.size());
    return {};
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    {
      std::lock_guard lock(mutex_);
      asked_.push_back({std::string(key), 0, out.size()});
    }
    return inner_->get_whole(key, out, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return inner_->get_all(key, limit, std::move(stop));
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return inner_->put(key, data, std::move(stop));
  }
  Status remove(std::string_view key) override { return inner_->remove(key); }
  Result<ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return inner_->list(prefix, after, limit);
  }

 private:
  const std::unique_ptr<ObjectStore> inner_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  uint64_t border_ = UINT64_MAX;
  int code_ = 0;
  std::vector<Asked> asked_;
};

}  // namespace cider::object::testing
