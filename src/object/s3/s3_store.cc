#include "object/s3/s3_store.h"

#include <algorithm>
#include <optional>

#include "base/crc32c.h"
#include "object/s3/receive.h"

namespace cider::object::s3 {
namespace {

constexpr size_t kPageKeys = 1000;
constexpr size_t kBatchKeys = 1000;
// For requests that move no data to speak of.
constexpr Millis kShortTimeout{60'000};

std::string range_header(uint64_t offset, uint64_t size) {
  return "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + size - 1);
}

}  // namespace

S3Store::S3Store(const Provider& provider, Endpoint endpoint, const StoreConfig& config, HttpOptions http,
                 std::shared_ptr<CredentialSource> keys)
    : provider_(provider),
      bucket_(endpoint.bucket),
      storage_class_(config.storage_class),
      tag_(config.tag),
      checksum_(endpoint.checksum),
      get_timeout_(config.get_timeout),
      put_timeout_(config.put_timeout),
      client_(std::move(endpoint), std::move(keys), std::move(http)),
      list_v1_(provider.list_v1),
      delete_many_(provider.delete_many) {}

std::string S3Store::name() const {
  const Endpoint endpoint = client_.endpoint();
  return std::string(provider_.name) + "://" + (endpoint.amazon ? "" : endpoint.host + "/") + bucket_ + "/";
}

Status S3Store::check_bucket() {
  // Not HEAD, whose errors have no code; the request that needs the fewest rights beside it.
  TRY(list_page("", "", "", 1));
  return {};
}

Status S3Store::create() {
  Status there = check_bucket();
  if (code_of(there) != ENOENT) return there;
  const Endpoint endpoint = client_.endpoint();
  Call call = {.verb = "create", .method = "PUT", .timeout = kShortTimeout};
  if (endpoint.amazon && endpoint.region != "us-east-1") call.text = create_bucket_request(endpoint.region);
  const auto response = TRY(client_.exchange(call, nullptr, {}));
  if (response.status / 100 == 2) return {};
  const auto error = parse_error(response.text);
  if (error && error->code == "BucketAlreadyOwnedByYou") return {};
  return fail(client_.error_of(response, call));
}

// One GET whose body goes to `sink`. The error for a range behind the object's end is the caller's to word.
Result<HttpResponse> S3Store::receive(std::string_view key, std::string range, size_t expected,
                                      const BodySink& sink, std::stop_token stop) {
  TRY(check_key(key));
  Call call = {.verb = "get", .key = key, .expected = expected, .timeout = get_timeout_};
  if (!range.empty()) call.headers.emplace_back("range", std::move(range));
  std::optional<Error> refused;  // in words of its own
  auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    Status taken = sink(head, bytes);
    if (!taken) refused = taken.error();
    return taken;
  };
  const BodySink noting(take);
  auto received = client_.exchange(call, &noting, std::move(stop));
  if (refused) return fail(*std::move(refused));
  HttpResponse response = TRY(std::move(received));
  const bool behind_the_end = response.status == 416 && !call.headers.empty();
  if (response.status / 100 != 2 && !behind_the_end) return fail(client_.error_of(response, call));
  return response;
}

Status S3Store::get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) {
  return get_in_order(key, offset, out, [](size_t) {}, std::move(stop));
}

Status S3Store::get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                             FunctionRef<void(size_t)> arrived, std::stop_token stop) {
  if (out.empty()) {
    const ObjectInfo info = TRY(head(key));
    return info.size >= offset ? Status() : fail(EIO, short_object(key, info.size, offset));
  }
  RangeReceiver receiver(key, offset, out, checksum_, arrived);
  auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    return receiver.take(head, bytes);
  };
  const BodySink sink(take);
  auto response = receive(key, range_header(offset, out.size()), out.size(), sink, std::move(stop));
  if (code_of(response) == EOVERFLOW && receiver.full()) return receiver.finish({});
  const HttpResponse head = TRY(std::move(response));
  if (head.status == 416) {
    if (const auto size = object_size(head)) return fail(EIO, short_object(key, *size, offset + out.size()));
    return fail(EIO, "object " + std::string(key) + " ends before byte " + std::to_string(offset));
  }
  return receiver.finish(head);
}

Result<size_t> S3Store::get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) {
  auto room = [&](size_t at, size_t) { return out.data() + at; };
  WholeReceiver receiver(key, out.size(), checksum_, room);
  auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    return receiver.take(head, bytes);
  };
  const HttpResponse head = TRY(receive(key, "", out.size(), BodySink(take), std::move(stop)));
  return receiver.finish(head);
}

Result<std::string> S3Store::get_all(std::string_view key, size_t limit, std::stop_token stop) {
  std::string out;
  auto room = [&](size_t at, size_t size) {
    out.resize(at + size);
    return reinterpret_cast<std::byte*>(out.data() + at);
  };
  WholeReceiver receiver(key, limit, checksum_, room);
  auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    return receiver.take(head, bytes);
  };
  const HttpResponse head = TRY(receive(key, "", limit, BodySink(take), std::move(stop)));
  TRY(receiver.finish(head));
  return out;
}

Pairs S3Store::headers_of_new_object() const {
  Pairs headers;
  if (!storage_class_.empty()) headers.emplace_back("x-amz-storage-class", storage_class_);
  if (!tag_.empty()) headers.emplace_back("x-amz-tagging", tag_);
  return headers;
}

Status S3Store::put(std::string_view key, const BufferChain& data, std::stop_token stop) {
  TRY(check_key(key));
  Call call = {.verb = "put",
               .method = "PUT",
               .key = key,
               .headers = headers_of_new_object(),
               .chain = &data,
               .timeout = put_timeout_};
  call.headers.emplace_back("content-type", "application/octet-stream");
  if (checksum_) {
    uint32_t crc = 0;
    for (const Buffer& piece : data) crc = crc32c(crc, piece.bytes());
    call.headers.emplace_back("x-amz-meta-crc32c", std::to_string(crc));
  }
  TRY(client_.send(call, nullptr, std::move(stop)));
  return {};
}

Status S3Store::remove(std::string_view key) {
  TRY(check_key(key));
  const Call call = {.verb = "remove", .method = "DELETE", .key = key, .timeout = kShortTimeout};
  const auto response = TRY(client_.exchange(call, nullptr, {}));
  if (response.status / 100 == 2) return {};
  Error error = client_.error_of(response, call);
  const auto document = parse_error(response.text);
  if (error.code == ENOENT && !(document && document->code == "NoSuchBucket")) return {};
  return fail(std::move(error));
}

Status S3Store::remove_many(std::span<const std::string> keys) {
  Status first;
  auto note = [&](Status status) {
    if (!status && first) first = std::move(status);
  };
  while (!keys.empty()) {
    const auto batch = keys.first(std::min(keys.size(), kBatchKeys));
    keys = keys.subspan(batch.size());
    if (batch.size() > 1 && delete_many_) {
      Status status = remove_batch(batch);
      if (code_of(status) != ENOTSUP) {
        note(std::move(status));
        continue;
      }
      delete_many_ = false;
    }
    for (const std::string& key : batch) note(remove(key));
  }
  return first;
}

Status S3Store::remove_batch(std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(check_key(key));
  Call call = {.verb = "remove objects of",
               .method = "POST",
               .query = {{"delete", ""}},
               .text = TRY(delete_request(keys)),
               .timeout = kShortTimeout};
  call.headers.emplace_back("content-type", "application/xml");
  call.headers.emplace_back("content-md5", md5_base64(call.text));
  const auto response = TRY(client_.exchange(call, nullptr, {}));
  if (response.status == 405) return fail(ENOTSUP);
  if (response.status / 100 != 2) return fail(client_.error_of(response, call));
  if (response.text.empty()) return {};
  auto failures = parse_delete_result(response.text);
  if (!failures) return fail(client_.with_attempt(failures.error(), call));
  for (const DeleteFailure& failure : *failures) {
    if (failure.code == "NoSuchKey") continue;
    return fail(error_of_code(failure.code, failure.message, response.status,
                              {.verb = "remove", .key = failure.key, .bucket = bucket_}));
  }
  return {};
}

Result<ObjectInfo> S3Store::head(std::string_view key) {
  TRY(check_key(key));
  const Call call = {.verb = "head", .method = "HEAD", .key = key, .timeout = kShortTimeout};
  const auto response = TRY(client_.send(call, nullptr, {}));
  const auto size = object_size(response);
  if (!size) return fail(EIO, "head " + std::string(key) + ": the store does not say its size");
  return ObjectInfo{std::string(key), *size, parse_http_time(response.header("last-modified"))};
}

Result<ListPage> S3Store::list_page(std::string_view prefix, std::string_view after, const std::string& token,
                                    size_t limit) {
  Call call = {.verb = "list", .timeout = kShortTimeout};
  call.query = {{"max-keys", std::to_string(std::min(limit, kPageKeys))}, {"encoding-type", "url"}};
  if (!prefix.empty()) call.query.emplace_back("prefix", prefix);
  if (list_v1_) {
    if (!after.empty()) call.query.emplace_back("marker", after);
  } else {
    call.query.emplace_back("list-type", "2");
    if (!token.empty()) {
      call.query.emplace_back("continuation-token", token);
    } else if (!after.empty()) {
      call.query.emplace_back("start-after", after);
    }
  }
  const auto response = TRY(client_.send(call, nullptr, {}));
  auto page = parse_list(response.text);
  if (!page) return fail(client_.with_attempt(page.error(), call));
  return page;
}

Result<std::vector<ObjectInfo>> S3Store::list(std::string_view prefix, std::string_view after, size_t limit) {
  std::vector<ObjectInfo> found;
  std::string last(after);
  std::string token;
  bool more = limit > 0;
  while (more) {
    auto page = list_page(prefix, last, token, limit - found.size());
    if (code_of(page) == ENOTSUP && !list_v1_) {
      list_v1_ = true;
      continue;
    }
    if (!page) return fail(page.error());
    // A store that knows no version 2 takes the request for one of version 1 and overlooks where to begin.
    const bool first_version = !page->has_key_count && page->next_token.empty() && !list_v1_;
    if (first_version && (page->truncated || !last.empty())) {
      list_v1_ = true;
      token.clear();
      continue;
    }
    const size_t before = found.size();
    for (ObjectInfo& object : page->objects) {
      if (object.key == last && list_v1_ && found.size() == before)
        continue;                               // some begin with the marker itself
      if (object.key.ends_with('/')) continue;  // a folder that a console has made
      if (object.key <= last && !last.empty()) {
        return fail(EIO,
                    "the store lists bucket " + bucket_ + " out of order: " + object.key + " after " + last);
      }
      last = object.key;
      if (found.size() < limit) found.push_back(std::move(object));
    }
    token = page->next_token;
    more = page->truncated && found.size() < limit;
    if (more && found.size() == before && token.empty() && page->next_marker <= last) {
      return fail(EIO, "the store lists bucket " + bucket_ + " without end after " + last);
    }
    if (more && list_v1_ && page->next_marker > last) last = page->next_marker;
  }
  return found;
}

}  // namespace cider::object::s3
