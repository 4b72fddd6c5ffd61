#include "object/testing/stores.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "object/shards.h"
#include "object/testing/local_servers.h"
#include "object/testing/servers.h"

namespace cider::object::testing {
namespace {

using Opened = Result<std::unique_ptr<ObjectStore>>;

Opened open_file_in(const std::string& dir) {
  return open_store({"file", dir + "/bucket/"});
}

Opened open_memory(const std::string&) {
  return open_store({"mem", ""});
}

// A database of its own for each.
Opened open_redis_in(const std::string&) {
  static std::atomic<int> db{0};
  const RedisServer* server = TRY(redis_server());
  return open_store({"redis", server->url(db.fetch_add(1))});
}

Opened open_sftp_in(const std::string& dir) {
  const SshServer* server = TRY(ssh_server());
  ::setenv("SSH_PRIVATE_KEY_PATH", server->key_file.c_str(), 1);
  ::setenv("SSH_KNOWN_HOSTS", server->known_hosts.c_str(), 1);
  return open_store({"sftp", server->user + "@127.0.0.1:" + server->port + ":" + dir + "/deep/bucket/"});
}

Opened open_sqlite_in(const std::string& dir) {
  return open_store({"sqlite3", dir + "/objects.db"});
}

Opened open_webdav_on(WebdavLogin login) {
  static std::atomic<int> folder{0};
  const WebdavServer* server = TRY(webdav_server(login));
  return open_store({.storage = "webdav",
                     .bucket = server->url() + "deep/b%20" + std::to_string(folder.fetch_add(1)) + "/",
                     .access_key = "tester",
                     .secret_key = "secret"});
}

Opened open_shards_in(const std::string& dir) {
  return open_store({.storage = "file", .bucket = dir + "/bucket%d/", .shards = 3});
}

Opened prefixed(Opened inner) {
  return with_prefix(TRY(std::move(inner)), "vol/");
}

Opened open_on(Result<S3Server*> server) {
  return open_store(TRY(std::move(server))->new_bucket());
}

}  // namespace

const std::vector<StoreUnderTest>& stores_under_test() {
  static const std::vector<StoreUnderTest> stores = {
      {"mem", open_memory},
      {"file", open_file_in},
      {"redis", open_redis_in},
      {"sftp", open_sftp_in},
      {"sqlite3", open_sqlite_in},
      {"shards", open_shards_in},
      {.name = "webdav_basic",
       .open = [](const std::string&) { return open_webdav_on(WebdavLogin::basic); },
       .replaces_at_once = false},
      {.name = "webdav_digest",
       .open = [](const std::string&) { return open_webdav_on(WebdavLogin::digest); },
       .replaces_at_once = false},
      {"prefixed_mem", [](const std::string& dir) { return prefixed(open_memory(dir)); }},
      {"minio", [](const std::string&) { return open_on(S3Server::minio()); }},
      {"prefixed_minio", [](const std::string&) { return prefixed(open_on(S3Server::minio())); }},
      {"seaweedfs", [](const std::string&) { return open_on(S3Server::seaweedfs()); },
       /*lists_any_names_in_order=*/false},
      {"prefixed_file", [](const std::string& dir) { return prefixed(open_file_in(dir)); }},
  };
  return stores;
}

BufferChain chain(std::initializer_list<std::string_view> pieces) {
  BufferChain out;
  for (std::string_view piece : pieces) {
    Buffer buffer = Buffer::allocate(piece.size(), nullptr);
    std::memcpy(buffer.mutable_data(), piece.data(), piece.size());
    out.push_back(buffer);
  }
  return out;
}

std::vector<std::string> keys_of(const std::vector<ObjectInfo>& infos) {
  std::vector<std::string> keys;
  for (const ObjectInfo& info : infos) keys.push_back(info.key);
  return keys;
}

}  // namespace cider::object::testing
