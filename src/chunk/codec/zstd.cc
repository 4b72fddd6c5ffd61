// One standard zstd frame of level 1, without checksum.
#include <zstd.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chunk/codec/codecs.h"

namespace cider::chunk {
namespace {

constexpr int kLevel = 1;
// Making a context costs about as much as compressing 100 KiB. One for compression holds 0.6 to 1.3 MB.
constexpr size_t kMostIdle = 4;

// Contexts that nobody uses, a few of them.
template <class Context, Context* (*make)(), size_t (*destroy)(Context*)>
class ContextPool {
 public:
  struct Destroy {
    void operator()(Context* context) const { destroy(context); }
  };
  using Ptr = std::unique_ptr<Context, Destroy>;

  // Null where there is no memory.
  Ptr take() {
    {
      std::lock_guard lock(mutex_);
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
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(context));
  }

 private:
  std::mutex mutex_;
  std::vector<Ptr> idle_;
};

class Zstd final : public Codec {
 public:
  size_t bound(size_t plain) const override { return ZSTD_compressBound(plain); }

  Result<size_t> compress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    auto context = compressors_.take();
    if (!context) return fail(ENOMEM, "zstd: no memory for a context");
    const size_t written =
        ZSTD_compressCCtx(context.get(), out.data(), out.size(), in.data(), in.size(), kLevel);
    compressors_.give_back(std::move(context));
    if (ZSTD_isError(written)) return fail(EIO, std::string("zstd: ") + ZSTD_getErrorName(written));
    return written;
  }

  Status decompress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    auto context = decompressors_.take();
    if (!context) return fail(ENOMEM, "zstd: no memory for a context");
    const size_t written = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), in.data(), in.size());
    decompressors_.give_back(std::move(context));
    if (ZSTD_isError(written)) return fail(EIO, std::string("zstd: ") + ZSTD_getErrorName(written));
    if (written != out.size()) {
      return fail(EIO, "a zstd frame of " + std::to_string(written) + " bytes, expected " +
                           std::to_string(out.size()));
    }
    return {};
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
