// Objects as files of a WebDAV server (RFC 4918): the storage "webdav", laid out as JuiceFS does it (1.4,
// pkg/object/webdav.go): the key is the path below the bucket.
#include <strings.h>

#include <algorithm>
#include <functional>
#include <mutex>

#include "object/drivers.h"
#include "object/folder_walk.h"
#include "object/s3/http.h"
#include "object/s3/receive.h"
#include "object/webdav/multistatus.h"

namespace cider::object {
namespace {

using s3::BodySink;
using s3::HttpClient;
using s3::HttpOptions;
using s3::HttpRequest;
using s3::HttpResponse;

constexpr size_t kLargestListing = size_t{256} << 20;  // of one folder, as XML
constexpr int kMaxDepth = 64;
constexpr const char* kProperties =
    "<?xml version=\"1.0\"?><propfind "
    "xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/>"
    "</prop></propfind>";

struct DavAddress {
  std::string origin;  // "https://host:port"
  std::string root;    // begins and ends in '/', as it is, not escaped
};

Result<DavAddress> parse_bucket(const std::string& bucket) {
  const auto wrong = [&](const char* why) {
    return fail(EINVAL, std::string("the bucket of storage webdav ") + why);
  };
  std::string url = bucket.find("://") == bucket.npos ? "http://" + bucket : bucket;
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    return wrong("must be an http:// or https:// URL");
  const size_t host = url.find("://") + 3;
  const size_t slash = std::min(url.find('/', host), url.size());
  if (url.find_first_of("?# \r\n") != url.npos) return wrong("can't have a query, a fragment or blanks");
  if (url.substr(host, slash - host).find('@') != url.npos) {
    return wrong("can't have a user in its URL; give the user as access key and the password as secret key");
  }
  if (slash == host) return wrong("has no host");
  DavAddress address{url.substr(0, slash), unescape_path(url.substr(slash))};
  if (!address.root.ends_with('/')) address.root += '/';
  return address;
}

class WebdavStore final : public ObjectStore {
 public:
  WebdavStore(DavAddress address, HttpOptions options)
      : address_(std::move(address)), options_(std::move(options)) {}

  std::string name() const override { return address_.origin + address_.root; }
  Status create() override { return make_folders(address_.root); }
  Status check_bucket() override {
    auto there = propfind(address_.root, "0");
    if (code_of(there) == ENOENT) return fail(ENOENT, "the folder " + name() + " does not exist");
    TRY(std::move(there));
    return {};
  }

  Status get(std::string_view key, uint64_t offset, std::span<std::byte> out, std::stop_token stop) override {
    return get_in_order(key, offset, out, [](size_t) {}, std::move(stop));
  }
  Status get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                      FunctionRef<void(size_t)> arrived, std::stop_token stop) override;
  Result<size_t> get_whole(std::string_view key, std::span<std::byte> out, std::stop_token stop) override {
    const auto room = [&](size_t at, size_t) { return out.data() + at; };
    return get_all_into(key, out.size(), room, std::move(stop));
  }
  Result<std::string> get_all(std::string_view key, size_t limit, std::stop_token stop) override {
    std::string bytes;
    const auto room = [&](size_t at, size_t size) {
      bytes.resize(at + size);
      return reinterpret_cast<std::byte*>(bytes.data()) + at;
    };
    TRY(get_all_into(key, limit, room, std::move(stop)));
    return bytes;
  }

  Status put(std::string_view key, const BufferChain& data, std::stop_token stop) override;
  Status remove(std::string_view key) override;
  Result<ObjectInfo> head(std::string_view key) override {
    TRY(check_key(key));
    auto found = propfind(path_of(key), "0");
    const bool missing =
        code_of(found) == ENOENT || (found && (found->empty() || found->front().entry.is_folder));
    if (missing) return fail(ENOENT, no_object(key));
    const FolderEntry entry = TRY(std::move(found)).front().entry;
    return ObjectInfo{std::string(key), entry.size, entry.mtime};
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix, std::string_view after,
                                       size_t limit) override {
    return walk_folders([this](const std::string& folder) { return list_folder(address_.root + folder); },
                        prefix, after, limit);
  }
  Status remove_empty_folders(std::string_view folder) override {
    if (!folder.empty()) TRY(check_key(folder));
    const std::string top = folder.empty() ? address_.root : path_of(folder) + "/";
    TRY(remove_if_empty(top, 0, /*itself=*/!folder.empty()));
    return {};
  }

 private:
  std::string path_of(std::string_view key) const { return address_.root + std::string(key); }
  std::string url_of(const std::string& path) const { return address_.origin + escape_path(path); }

  Result<HttpResponse> send(const HttpRequest& request, const BodySink* sink, std::stop_token stop,
                            size_t text_limit = 1 << 20);
  Result<std::shared_ptr<HttpClient>> client(const std::stop_token& stop);
  Result<std::vector<DavResource>> propfind(const std::string& path, const char* depth);
  Result<std::vector<FolderEntry>> list_folder(const std::string& path);
  Result<size_t> get_all_into(std::string_view key, size_t limit,
                              FunctionRef<std::byte*(size_t, size_t)> room, std::stop_token stop);
  Status make_folders(const std::string& path);
  Result<bool> remove_if_empty(const std::string& path, int depth, bool itself);
  std::unexpected<Error> error_of(const HttpResponse& response, const HttpRequest& request) const;

  const DavAddress address_;
  const HttpOptions options_;
  std::mutex mutex_;
  std::shared_ptr<HttpClient> client_;
};

std::unexpected<Error> WebdavStore::error_of(const HttpResponse& response, const HttpRequest& request) const {
  const std::string what =
      request.method + " " + request.url + ": the server answers " + std::to_string(response.status);
  switch (response.status) {
    case 401:
      return fail(EACCES, what + ": the user or password is wrong (access key, secret key)");
    case 403:
      return fail(EACCES, what + ": forbidden");
    case 404:
    case 410:
      return fail(ENOENT, what + ": not found");
    case 413:
    case 507:
      return fail(ENOSPC, what + ": no space");
    case 429:
    case 503:
      return fail(EAGAIN, what + ": it asks for fewer requests");
    case 400:
    case 405:
    case 501:
      return fail(EINVAL, what + ": it does not do this; is that a WebDAV server?");
    default:
      return fail(EIO, what);
  }
}

// A server asks for one kind of authentication. It is asked once, without a password, which would be sent in
// the clear to one that wants a digest.
Result<std::shared_ptr<HttpClient>> WebdavStore::client(const std::stop_token& stop) {
  std::lock_guard lock(mutex_);
  if (client_) return client_;
  HttpOptions options = options_;
  if (!options.user.empty()) {
    HttpOptions anonymous = options_;
    anonymous.user.clear();
    HttpClient probe(anonymous);
    HttpRequest request;
    request.method = "PROPFIND";
    request.url = url_of(address_.root);
    request.headers = {"Depth: 0"};
    const HttpResponse asked = TRY(probe.perform(request, nullptr, stop));
    for (const auto& [name, value] : asked.headers) {
      if (name != "www-authenticate") continue;
      std::string method = value.substr(0, value.find(' '));
      if (::strcasecmp(method.c_str(), "digest") == 0) options.digest = true;
    }
    if (asked.status != 401) options.user.clear();
  }
  client_ = std::make_shared<HttpClient>(options);
  return client_;
}

Result<HttpResponse> WebdavStore::send(const HttpRequest& request, const BodySink* sink, std::stop_token stop,
                                       size_t text_limit) {
  auto http = TRY(client(stop));
  auto response = http->perform(request, sink, std::move(stop), text_limit);
  if (response) return response;
  return fail(response.error().code,
              request.method + " " + request.url + ": " + response.error().to_string());
}

Result<std::vector<DavResource>> WebdavStore::propfind(const std::string& path, const char* depth) {
  HttpRequest request;
  request.method = "PROPFIND";
  request.url = url_of(path);
  request.headers = {std::string("Depth: ") + depth, "Content-Type: application/xml"};
  request.text = kProperties;
  const HttpResponse response = TRY(send(request, nullptr, {}, kLargestListing));
  // A path below what is a file: some servers say 400 or 409. There can't be an object.
  if (response.status == 400 || response.status == 409) return fail(ENOENT, request.url + ": not found");
  if (response.status != 207) return error_of(response, request);
  return parse_multistatus(response.text);
}

Result<std::vector<FolderEntry>> WebdavStore::list_folder(const std::string& path) {
  auto found = propfind(path, "1");
  if (code_of(found) == ENOENT) return std::vector<FolderEntry>();
  std::vector<FolderEntry> entries;
  const std::string itself = path.size() > 1 ? path.substr(0, path.size() - 1) : path;
  for (DavResource& resource : TRY(std::move(found))) {
    if (resource.path != itself && !resource.entry.name.empty()) entries.push_back(std::move(resource.entry));
  }
  return entries;
}

Status WebdavStore::get_in_order(std::string_view key, uint64_t offset, std::span<std::byte> out,
                                 FunctionRef<void(size_t)> arrived, std::stop_token stop) {
  TRY(check_key(key));
  if (out.empty()) {
    TRY(head(key));
    return {};
  }
  HttpRequest request;
  request.url = url_of(path_of(key));
  request.headers = {"Range: bytes=" + std::to_string(offset) + "-" +
                     std::to_string(offset + out.size() - 1)};
  s3::RangeReceiver receiver(key, offset, out, /*verify=*/false, arrived);
  const auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    return receiver.take(head, bytes);
  };
  const BodySink sink(take);
  auto response = send(request, &sink, std::move(stop));
  if (!response && receiver.full()) return {};
  const HttpResponse answer = TRY(std::move(response));
  if (answer.status == 404) return fail(ENOENT, no_object(key));
  if (answer.status == 416) return fail(EIO, short_object(key, TRY(head(key)).size, offset + out.size()));
  if (answer.status / 100 != 2) return error_of(answer, request);
  return receiver.finish(answer);
}

Result<size_t> WebdavStore::get_all_into(std::string_view key, size_t limit,
                                         FunctionRef<std::byte*(size_t, size_t)> room, std::stop_token stop) {
  TRY(check_key(key));
  HttpRequest request;
  request.url = url_of(path_of(key));
  s3::WholeReceiver receiver(key, limit, /*verify=*/false, room);
  const auto take = [&](const HttpResponse& head, std::span<const std::byte> bytes) {
    return receiver.take(head, bytes);
  };
  const BodySink sink(take);
  const HttpResponse answer = TRY(send(request, &sink, std::move(stop)));
  if (answer.status == 404) return fail(ENOENT, no_object(key));
  if (answer.status / 100 != 2) return error_of(answer, request);
  return receiver.finish(answer);
}

// A temporary file is moved into place, so that nobody sees a part.
Status WebdavStore::put(std::string_view key, const BufferChain& data, std::stop_token stop) {
  TRY(check_key(key));
  const std::string path = path_of(key);
  HttpRequest request;
  request.method = "PUT";
  request.url = url_of(temporary_name(path));
  request.chain = &data;
  request.headers = {"Content-Type: application/octet-stream"};
  HttpResponse answer = TRY(send(request, nullptr, stop));
  if (answer.status == 409 || answer.status == 404) {
    if (code_of(check_bucket()) == ENOENT) return fail(EIO, "the folder " + name() + " does not exist");
    TRY(make_folders(path.substr(0, path.rfind('/') + 1)));
    answer = TRY(send(request, nullptr, stop));
  }
  if (answer.status / 100 != 2) return error_of(answer, request);
  HttpRequest move;
  move.method = "MOVE";
  move.url = request.url;
  move.headers = {"Destination: " + url_of(path), "Overwrite: T"};
  auto moved = send(move, nullptr, stop);
  if (moved && moved->status / 100 == 2) return {};
  HttpRequest undo;
  undo.method = "DELETE";
  undo.url = request.url;
  (void)send(undo, nullptr, {});
  return error_of(TRY(std::move(moved)), move);
}

// DELETE of a folder would delete all below it, so a look comes first.
Status WebdavStore::remove(std::string_view key) {
  auto there = head(key);
  if (code_of(there) == ENOENT) return {};
  TRY(std::move(there));
  HttpRequest request;
  request.method = "DELETE";
  request.url = url_of(path_of(key));
  const HttpResponse answer = TRY(send(request, nullptr, {}));
  if (answer.status / 100 == 2 || answer.status == 404) return {};
  return error_of(answer, request);
}

Status WebdavStore::make_folders(const std::string& path) {
  HttpRequest request;
  request.method = "MKCOL";
  request.url = url_of(path);
  HttpResponse answer = TRY(send(request, nullptr, {}));
  if (answer.status == 409 && path.size() > 1) {
    TRY(make_folders(path.substr(0, path.rfind('/', path.size() - 2) + 1)));
    answer = TRY(send(request, nullptr, {}));
  }
  if (answer.status / 100 == 2) return {};
  // Where it is already, servers say 405, and some others 301 or 403.
  auto there = propfind(path, "0");
  if (there && !there->empty() && there->front().entry.is_folder) return {};
  if (there) return fail(ENOTDIR, name() + ": " + path + " is no folder");
  return error_of(answer, request);
}

Result<bool> WebdavStore::remove_if_empty(const std::string& path, int depth, bool itself) {
  bool empty = true;
  for (const FolderEntry& entry : TRY(list_folder(path))) {
    const bool gone = entry.is_folder && depth < kMaxDepth &&
                      TRY(remove_if_empty(path + entry.name + "/", depth + 1, /*itself=*/true));
    empty = empty && gone;
  }
  if (!empty || !itself) return false;
  HttpRequest request;
  request.method = "DELETE";
  request.url = url_of(path);
  const HttpResponse answer = TRY(send(request, nullptr, {}));
  if (answer.status / 100 == 2 || answer.status == 404) return true;
  return error_of(answer, request);
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_webdav(const StoreConfig& config) {
  HttpOptions options;
  options.user = config.access_key;
  options.password = config.secret_key;
  options.memory = config.memory;
  return std::make_unique<WebdavStore>(TRY(parse_bucket(config.bucket)), std::move(options));
}

}  // namespace cider::object
