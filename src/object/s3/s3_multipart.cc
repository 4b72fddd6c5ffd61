// Copies, and uploads in parts.
#include <algorithm>
#include <iterator>

#include "object/s3/s3_store.h"

namespace cider::object::s3 {

std::string S3Store::copy_source(std::string_view key) const {
  return "/" + bucket_ + "/" + uri_encode(key, true);
}

Status S3Store::check_result(const HttpResponse& response, const Call& call) const {
  if (parse_error(response.text)) return fail(client_.error_of(response, call));
  return {};
}

Status S3Store::copy(std::string_view from, std::string_view to, std::stop_token stop) {
  TRY(check_key(from));
  TRY(check_key(to));
  Call call = {.verb = "copy",
               .method = "PUT",
               .key = to,
               .headers = headers_of_new_object(),
               .timeout = put_timeout_};
  call.headers.emplace_back("x-amz-copy-source", copy_source(from));
  // Onto itself, a copy must change something.
  if (from == to) call.headers.emplace_back("x-amz-metadata-directive", "COPY");
  const auto response = TRY(client_.exchange(call, nullptr, std::move(stop)));
  if (response.status == 404) return fail(client_.error_of(response, {.verb = "copy", .key = from}));
  if (response.status / 100 != 2) return fail(client_.error_of(response, call));
  return check_result(response, call);
}

Result<std::string> S3Store::create_upload(std::string_view key, std::stop_token stop) {
  TRY(check_key(key));
  const Call call = {.verb = "upload",
                     .method = "POST",
                     .key = key,
                     .query = {{"uploads", ""}},
                     .headers = headers_of_new_object(),
                     .timeout = put_timeout_};
  const auto response = TRY(client_.send(call, nullptr, std::move(stop)));
  auto id = parse_upload_id(response.text);
  if (!id) return fail(client_.with_attempt(id.error(), call));
  return id;
}

Result<UploadedPart> S3Store::upload_part(std::string_view key, const std::string& id, int number,
                                          const BufferChain& data, std::stop_token stop) {
  TRY(check_key(key));
  const Call call = {.verb = "upload a part of",
                     .method = "PUT",
                     .key = key,
                     .query = {{"partNumber", std::to_string(number)}, {"uploadId", id}},
                     .chain = &data,
                     .timeout = put_timeout_};
  const auto response = TRY(client_.send(call, nullptr, std::move(stop)));
  UploadedPart part{number, std::string(response.header("etag"))};
  if (part.etag.empty())
    return fail(EIO, "upload a part of " + std::string(key) + ": the answer has no ETag");
  return part;
}

Result<UploadedPart> S3Store::copy_part(std::string_view key, const std::string& id, int number,
                                        std::string_view from, uint64_t offset, uint64_t size,
                                        std::stop_token stop) {
  TRY(check_key(key));
  TRY(check_key(from));
  if (size == 0) return fail(EINVAL, "a part of " + std::string(key) + " can't be a copy of nothing");
  Call call = {.verb = "copy a part of",
               .method = "PUT",
               .key = key,
               .query = {{"partNumber", std::to_string(number)}, {"uploadId", id}},
               .timeout = put_timeout_};
  call.headers.emplace_back("x-amz-copy-source", copy_source(from));
  call.headers.emplace_back("x-amz-copy-source-range",
                            "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + size - 1));
  const auto response = TRY(client_.send(call, nullptr, std::move(stop)));
  TRY(check_result(response, call));
  auto etag = parse_copy_etag(response.text);
  if (!etag) return fail(client_.with_attempt(etag.error(), call));
  return UploadedPart{number, *std::move(etag)};
}

Status S3Store::complete_upload(std::string_view key, const std::string& id,
                                std::span<const UploadedPart> parts, std::stop_token stop) {
  TRY(check_key(key));
  Call call = {.verb = "complete the upload of",
               .method = "POST",
               .key = key,
               .query = {{"uploadId", id}},
               .text = complete_request(parts),
               .timeout = put_timeout_};
  call.headers.emplace_back("content-type", "application/xml");
  const auto response = TRY(client_.send(call, nullptr, std::move(stop)));
  return check_result(response, call);
}

Status S3Store::abort_upload(std::string_view key, const std::string& id) {
  TRY(check_key(key));
  const Call call = {
      .verb = "abort the upload of", .method = "DELETE", .key = key, .query = {{"uploadId", id}}};
  const auto response = TRY(client_.exchange(call, nullptr, {}));
  if (response.status / 100 == 2 || response.status == 404) return {};
  return fail(client_.error_of(response, call));
}

Result<std::vector<PendingUpload>> S3Store::list_uploads(std::string_view prefix) {
  std::vector<PendingUpload> found;
  Call call = {.verb = "list the uploads of"};
  std::string key, id;
  for (;;) {
    call.query = {{"uploads", ""}, {"encoding-type", "url"}};
    if (!prefix.empty()) call.query.emplace_back("prefix", prefix);
    if (!key.empty()) call.query.emplace_back("key-marker", key);
    if (!id.empty()) call.query.emplace_back("upload-id-marker", id);
    const auto response = TRY(client_.send(call, nullptr, {}));
    auto page = parse_uploads(response.text);
    if (!page) return fail(client_.with_attempt(page.error(), call));
    std::ranges::move(page->uploads, std::back_inserter(found));
    if (!page->truncated) return found;
    if (page->next_key == key && page->next_id == id) {
      return fail(EIO, "the store lists the uploads of bucket " + bucket_ + " without end");
    }
    key = page->next_key;
    id = page->next_id;
  }
}

}  // namespace cider::object::s3
