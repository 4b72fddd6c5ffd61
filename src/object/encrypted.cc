#include "object/encrypted.h"

#include <cstring>

#include "base/scratch.h"
#include "object/drivers.h"

namespace cider::object {
namespace {

constexpr size_t kObjectsAtOnce = 2;

class EncryptedStore final : public ObjectStore {
 public:
  EncryptedStore(std::unique_ptr<ObjectStore> inner, std::shared_ptr<const Encryptor> encryptor,
                 MemoryBudget* budget, size_t largest)
      : inner_(std::move(inner)),
        encryptor_(std::move(encryptor)),
        largest_(largest),
        sealing_(budget, kObjectsAtOnce * (largest + encryptor_->overhead())),
        opening_(budget, kObjectsAtOnce * (largest + encryptor_->overhead())) {}

  std::string name() const override { return inner_->name(); }
  Status create() override { return inner_->create(); }
  Status check_bucket() override { return inner_->check_bucket(); }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    if (offset > largest_ || out.size() > largest_ - offset)
      return fail(EFBIG, large_object(key, offset + out.size(), largest_));
    Sealed sealed = TRY(read_sealed(key, largest_, std::move(stop)));
    const size_t size = sealed.envelope.plain_size();
    if (size == out.size() && offset == 0) return open(key, sealed, out);
    const std::span<std::byte> plain = sealed.in_place();
    TRY(open(key, sealed, plain));
    if (size < offset + out.size()) return fail(EIO, short_object(key, size, offset + out.size()));
    std::memcpy(out.data(), plain.data() + offset, out.size());
    return {};
  }

  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    Sealed sealed = TRY(read_sealed(key, out.size(), std::move(stop)));
    const size_t size = sealed.envelope.plain_size();
    TRY(open(key, sealed, out.first(size)));
    return size;
  }

  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    const std::string object = TRY(inner_->get_all(key, limit + encryptor_->overhead(), std::move(stop)));
    const auto envelope = TRY(parse(key, std::as_bytes(std::span(object))));
    std::string plain(envelope.plain_size(), '\0');
    TRY(named(key, encryptor_->decrypt(envelope, std::as_writable_bytes(std::span(plain)))));
    return plain;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override {
    Buffer sealed = TRY(sealing_.take(total_size(data) + encryptor_->overhead(), stop));
    TRY(encryptor_->encrypt(data, {sealed.mutable_data(), sealed.size()}));
    return inner_->put(key, {std::move(sealed)}, std::move(stop));
  }

  Status remove(std::string_view key) override { return inner_->remove(key); }
  Status remove_many(std::span<const std::string> keys) override { return inner_->remove_many(keys); }
  Result<ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return inner_->list(prefix, after, limit);
  }
  Status sync(std::span<const std::string> keys) override { return inner_->sync(keys); }
  Status remove_empty_folders(std::string_view folder) override {
    return inner_->remove_empty_folders(folder);
  }

 private:
  struct Sealed {
    Buffer memory;
    Encryptor::Envelope envelope;  // in `memory`

    // Where it can be opened without more memory.
    std::span<std::byte> in_place() {
      return {memory.mutable_data() + (envelope.sealed.data() - memory.data()), envelope.plain_size()};
    }
  };

  Result<Sealed> read_sealed(std::string_view key, size_t most, std::stop_token stop) {
    Sealed sealed{TRY(opening_.take(most + encryptor_->overhead(), stop)), {}};
    const size_t size =
        TRY(inner_->get_whole(key, {sealed.memory.mutable_data(), sealed.memory.size()}, std::move(stop)));
    sealed.envelope = TRY(parse(key, sealed.memory.bytes().first(size)));
    return sealed;
  }

  Result<Encryptor::Envelope> parse(std::string_view key, std::span<const std::byte> object) const {
    auto envelope = encryptor_->parse(object);
    if (!envelope) return fail(named(key, envelope.error()));
    return envelope;
  }
  Status open(std::string_view key, const Sealed& sealed, std::span<std::byte> out) const {
    return named(key, encryptor_->decrypt(sealed.envelope, out));
  }

  static Status named(std::string_view key, Status status) {
    if (status) return status;
    return fail(named(key, status.error()));
  }
  static Error named(std::string_view key, const Error& error) {
    if (error.code != EBADMSG) return error;
    return {EBADMSG, "object " + std::string(key) +
                         " is damaged, or was encrypted with another key: " + error.message};
  }

  const std::unique_ptr<ObjectStore> inner_;
  const std::shared_ptr<const Encryptor> encryptor_;
  const size_t largest_;
  // Apart, as reads must not keep uploads waiting, which give memory back.
  Scratch sealing_;
  Scratch opening_;
};

}  // namespace

std::unique_ptr<ObjectStore> with_encryption(std::unique_ptr<ObjectStore> inner,
                                             std::shared_ptr<const Encryptor> encryptor, MemoryBudget* budget,
                                             size_t largest) {
  return std::make_unique<EncryptedStore>(std::move(inner), std::move(encryptor), budget, largest);
}

}  // namespace cider::object
