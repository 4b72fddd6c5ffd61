// Servers of the tests' own: started on a free port of the loopback interface or a socket, with their files
// in a temporary folder, ended with the object. For tests only.
#pragma once

#include <string>

#include "base/result.h"

namespace cider::object::testing {

// redis-server with the password "secret", one for all tests of the program.
struct RedisServer {
  std::string port;
  std::string tls_port;  // with a certificate for "localhost" that vouches for itself
  std::string cert_file;
  std::string url(int db) const { return "redis://:secret@127.0.0.1:" + port + "/" + std::to_string(db); }
};
Result<const RedisServer*> redis_server();

// Answers every GET with a page, over connections that it then closes; has a certificate for "localhost" that
// vouches for itself. One for all tests of the program. ENODEV where there is no openssl.
struct HttpsServer {
  std::string port;
  std::string cert_file;
  std::string url() const { return "https://localhost:" + port + "/"; }
};
Result<const HttpsServer*> https_server();

// sshd with keys of its own, one for all tests of the program; lets in who runs the test, with `key_file`.
// ENODEV where there is none or we are not root.
struct SshServer {
  std::string port;
  std::string key_file;
  std::string known_hosts;
  std::string user;
};
Result<const SshServer*> ssh_server();

// Apache with a WebDAV folder for the user "tester" with the password "secret", one of each kind for all
// tests of the program. ENODEV where there is none.
struct WebdavServer {
  std::string port;
  std::string folder;  // what http://127.0.0.1:port/ is
  std::string url() const { return "http://127.0.0.1:" + port + "/"; }
};
enum class WebdavLogin { basic, digest };
Result<const WebdavServer*> webdav_server(WebdavLogin login);

}  // namespace cider::object::testing
