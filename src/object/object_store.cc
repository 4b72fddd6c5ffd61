// What a store does that has no better way of its own.
#include "object/object_store.h"

#include <cstring>

namespace cider::object {

Status ObjectStore::get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                                 FunctionRef<void(size_t)> arrived, std::stop_token stop) {
  TRY(get(key, offset, out, std::move(stop)));
  arrived(out.size());
  return {};
}

Result<size_t> ObjectStore::get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) {
  const std::string whole = TRY(get_all(key, out.size(), std::move(stop)));
  std::memcpy(out.data(), whole.data(), whole.size());
  return whole.size();
}

Status ObjectStore::remove_many(std::span<const std::string> keys) {
  Status first;
  for (const std::string& key : keys) {
    if (Status status = remove(key); !status && first) first = std::move(status);
  }
  return first;
}

Status ObjectStore::copy(std::string_view from, std::string_view to, std::stop_token stop) {
  const std::string whole = TRY(get_all(from, kCopyLimit, stop));
  Buffer buffer = Buffer::allocate(whole.size(), nullptr);
  std::memcpy(buffer.mutable_data(), whole.data(), whole.size());
  return put(to, {buffer}, std::move(stop));
}

namespace {
std::unexpected<Error> no_parts(const ObjectStore& store) {
  return fail(ENOTSUP, store.name() + " does not upload in parts");
}
}  // namespace

Result<std::string> ObjectStore::create_upload(std::string_view, std::stop_token) {
  return no_parts(*this);
}
Result<UploadedPart> ObjectStore::upload_part(std::string_view, const std::string&, int, const BufferChain&,
                                              std::stop_token) {
  return no_parts(*this);
}
Result<UploadedPart> ObjectStore::copy_part(std::string_view, const std::string&, int, std::string_view,
                                            uint64_t, uint64_t, std::stop_token) {
  return no_parts(*this);
}
Status ObjectStore::complete_upload(std::string_view, const std::string&, std::span<const UploadedPart>,
                                    std::stop_token) {
  return no_parts(*this);
}
Status ObjectStore::abort_upload(std::string_view, const std::string&) {
  return no_parts(*this);
}
Result<std::vector<PendingUpload>> ObjectStore::list_uploads(std::string_view) {
  return no_parts(*this);
}

}  // namespace cider::object
