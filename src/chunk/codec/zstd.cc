// One standard zstd frame of level 1, without checksum.
#include <zstd.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "chunk/codec/codecs.h"

namespace cider::chunk {
namespace {

constexpr int kLevel = 1;
// Making a context costs about as much as compressing 100 KiB. One for compression holds 0.6 to 1.3 MB, so
// there are no more than can be at work at once, and few while nobody works.
constexpr size_t kMostIdle = 4;

size_t most_in_use() {
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 16);
}

template <class Context, Context* (*make)(), size_t (*destroy)(Context*)>
class ContextPool {
 public:
  // What `step` answers, a number of bytes or an error of the library's, with a context of its own. `step`
  // waits for nothing.
  template <class Step>
  Result<size_t> run(Step step) {
    Ptr context = take();
    const size_t written = context ? step(context.get()) : 0;
    const bool worked = context != nullptr;
    give_back(std::move(context));
    if (!worked) return fail(ENOMEM, "zstd: no memory for a context");
    if (ZSTD_isError(written)) return fail(EIO, std::string("zstd: ") + ZSTD_getErrorName(written));
    return written;
  }

 private:
  struct Destroy {
    void operator()(Context* context) const { destroy(context); }
  };
  using Ptr = std::unique_ptr<Context, Destroy>;

  Ptr take() {
    {
      std::unique_lock lock(mutex_);
      returned_.wait(lock, [&] { return in_use_ < most_; });
      in_use_++;
      if (!idle_.empty()) {
        Ptr context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    return Ptr(make());
  }
  void give_back(Ptr context) {
    std::lock_guard lock(mutex_);
    in_use_--;
    if (context && idle_.size() < kMostIdle) idle_.push_back(std::move(context));
    returned_.notify_one();
  }

  const size_t most_ = most_in_use();
  std::mutex mutex_;
  std::condition_variable returned_;
  size_t in_use_ = 0;
  std::vector<Ptr> idle_;
};

class Zstd final : public Codec {
 public:
  size_t bound(size_t plain) const override { return ZSTD_compressBound(plain); }

  Result<size_t> compress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    return compressors_.run([&](ZSTD_CCtx* context) {
      return ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), kLevel);
    });
  }

  Status decompress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    const size_t written = TRY(decompressors_.run([&](ZSTD_DCtx* context) {
      return ZSTD_decompressDCtx(context, out.data(), out.size(), in.data(), in.size());
    }));
    if (written == out.size()) return {};
    return fail(
        EIO, "a zstd frame of " + std::to_string(written) + " bytes, expected " + std::to_string(out.size()));
  }

 private:
  mutable ContextPool<ZSTD_CCtx, ZSTD_createCCtx, ZSTD_freeCCtx> compressors_;
  mutable ContextPool<ZSTD_DCtx, ZSTD_createDCtx, ZSTD_freeDCtx> decompressors_;
};

}  // namespace

const Codec& zstd_codec() {
  static const Zstd codec;
  return codec;
}

}  // namespace cider::chunk
