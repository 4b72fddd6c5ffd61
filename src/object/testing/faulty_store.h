// A store in front of another that fails, delays or hangs chosen calls. For tests.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "object/object_store.h"

namespace cider::object::testing {

// Thread-safe.
class FaultyStore final : public ObjectStore {
 public:
  enum class Op { get, put, remove, sync, head, list, create, check };
  struct Call {
    Op op;
    std::string_view key;
    int n;  // the how many-th call of this kind, from 0
  };
  struct Verdict {
    int code = 0;        // an errno instead of the call
    bool after = false;  // the errno comes after the call, as when only the answer was lost
    Millis delay{0};     // before the call
    bool hang = false;   // until release() or the caller's stop request, which gives EINTR
    size_t first = 0;    // bytes that get_in_order announces before it fails or hangs
  };
  using Rule = std::function<Verdict(const Call&)>;

  explicit FaultyStore(std::unique_ptr<ObjectStore> inner) : inner_(std::move(inner)) {}

  void set_rule(Rule rule) {
    std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
    changed_.notify_all();
  }
  // Lets all that hang go on, and forgets the rule.
  void release() {
    std::lock_guard lock(mutex_);
    rule_ = nullptr;
    releases_++;
    changed_.notify_all();
  }
  int calls(Op op) {
    std::lock_guard lock(mutex_);
    return counts_[op];
  }
  int hanging() {
    std::lock_guard lock(mutex_);
    return hanging_;
  }

  std::string name() const override { return "faulty " + inner_->name(); }
  Status create() override {
    return around(Op::create, "", {}, [&] { return inner_->create(); });
  }
  Status check_bucket() override {
    return around(Op::check, "", {}, [&] { return inner_->check_bucket(); });
  }
  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return around(Op::get, key, stop, [&] { return inner_->get(key, offset, out, stop); });
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override {
    const auto announce = [&](size_t bytes) -> Status {
      TRY(inner_->get(key, offset, out.first(bytes), stop));
      arrived(bytes);
      return {};
    };
    return around(
        Op::get, key, stop, [&] { return inner_->get_in_order(key, offset, out, arrived, stop); }, announce);
  }
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    return around(Op::get, key, stop, [&] { return inner_->get_whole(key, out, stop); });
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    return around(Op::get, key, stop, [&] { return inner_->get_all(key, limit, stop); });
  }
  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    return around(Op::put, key, stop, [&] { return inner_->put(key, data, stop); });
  }
  Status remove(std::string_view key) override {
    return around(Op::remove, key, {}, [&] { return inner_->remove(key); });
  }
  Status remove_many(std::span<const std::string> keys) override {
    return around(Op::remove, keys.empty() ? "" : keys.front(), {},
                  [&] { return inner_->remove_many(keys); });
  }
  Result<ObjectInfo> head(std::string_view key) override {
    return around(Op::head, key, {}, [&] { return inner_->head(key); });
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return around(Op::list, prefix, {}, [&] { return inner_->list(prefix, after, limit); });
  }
  Status sync(std::span<const std::string> keys) override {
    for (const std::string& key : keys) {
      TRY(around(Op::sync, key, {}, [] { return Status(); }));
    }
    return inner_->sync(keys);
  }
  Status remove_empty_folders(std::string_view folder) override {
    return inner_->remove_empty_folders(folder);
  }

 private:
  using Announce = std::function<Status(size_t)>;

  template <class Request>
  std::invoke_result_t<Request> around(Op op, std::string_view key, const std::stop_token& stop,
                                       Request&& request, const Announce& announce = nullptr) {
    const Verdict verdict = judge(op, key);
    TRY(before(verdict, key, stop, announce));
    auto done = request();
    if (verdict.after && verdict.code != 0) {
      return fail(verdict.code, "told to fail afterwards: " + std::string(key));
    }
    return done;
  }

  Verdict judge(Op op, std::string_view key) {
    std::unique_lock lock(mutex_);
    const int n = counts_[op]++;
    if (!rule_) return {};
    Rule rule = rule_;
    lock.unlock();
    return rule({op, key, n});
  }

  Status before(const Verdict& verdict, std::string_view key, std::stop_token stop,
                const Announce& announce = nullptr) {
    std::unique_lock lock(mutex_);
    if (verdict.delay.count() > 0 &&
        changed_.wait_for(lock, stop, verdict.delay, [&] { return stop.stop_requested(); })) {
      return fail(EINTR);
    }
    if (stop.stop_requested()) return fail(EINTR);
    if (verdict.first > 0 && announce) {
      lock.unlock();
      TRY(announce(verdict.first));
      lock.lock();
    }
    if (verdict.hang) {
      hanging_++;
      bool released = changed_.wait(lock, stop, [&, seen = releases_] { return releases_ != seen; });
      hanging_--;
      if (!released) return fail(EINTR);
    }
    if (verdict.code != 0 && !verdict.after) return fail(verdict.code, "told to fail: " + std::string(key));
    return {};
  }

  const std::unique_ptr<ObjectStore> inner_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Rule rule_;
  std::map<Op, int> counts_;
  int releases_ = 0;
  int hanging_ = 0;
};

}  // namespace cider::object::testing
