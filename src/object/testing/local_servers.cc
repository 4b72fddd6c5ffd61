#include "object/testing/local_servers.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/unique_fd.h"
#include "object/testing/servers.h"

namespace cider::object::testing {
namespace {

// Waits until the port takes connections.
Status wait_for_port(ServerProcess& process, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 3000; i++) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
    if (!process.running()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fail(EIO, "the server on port " + std::to_string(port) + " does not start");
}

Status needs_root(const char* program) {
  if (::geteuid() == 0) return {};
  return fail(ENODEV, std::string(program) + " needs root");
}

std::string read_all(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void make_key(const std::string& path) {
  const std::string command = "ssh-keygen -q -t ed25519 -N '' -f " + path;
  if (std::system(command.c_str()) != 0) throw std::runtime_error("ssh-keygen failed");
}

// For "localhost", with its key beside it; answers the path.
std::string make_certificate(const std::string& path) {
  const std::string command =
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
      "subjectAltName=DNS:localhost -keyout " +
      path + ".key -out " + path + " >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl failed");
  return path;
}

}  // namespace

Result<const RedisServer*> redis_server() {
  struct Running {
    TempDir dir;
    RedisServer server{std::to_string(free_port()), std::to_string(free_port()), dir.path() + "/cert"};
    ServerProcess process;

    explicit Running(const std::string& program)
        : process({program,
                   "--port",
                   server.port,
                   "--bind",
                   "127.0.0.1",
                   "--dir",
                   dir.path(),
                   "--save",
                   "",
                   "--requirepass",
                   "secret",
                   "--databases",
                   "1000",
                   "--tls-port",
                   server.tls_port,
                   "--tls-cert-file",
                   make_certificate(server.cert_file),
                   "--tls-key-file",
                   server.cert_file + ".key",
                   "--tls-ca-cert-file",
                   server.cert_file,
                   "--tls-auth-clients",
                   "no"},
                  {}, dir.path() + "/log") {}
  };
  const std::string program = TRY(find_server("bin/redis-server", "redis-server"));
  static Running running(program);
  TRY(wait_for_port(running.process, std::stoi(running.server.port)));
  return &running.server;
}

Result<const HttpsServer*> https_server() {
  struct Running {
    TempDir dir;
    HttpsServer server{std::to_string(free_port()), dir.path() + "/cert"};
    ServerProcess process;

    explicit Running(const std::string& program)
        : process({program, "s_server", "-accept", "127.0.0.1:" + server.port, "-www", "-cert",
                   make_certificate(server.cert_file), "-key", server.cert_file + ".key"},
                  {}, dir.path() + "/log") {}
  };
  const std::string program = TRY(find_server("bin/openssl", "openssl"));
  static Running running(program);
  TRY(wait_for_port(running.process, std::stoi(running.server.port)));
  return &running.server;
}

Result<const SshServer*> ssh_server() {
  struct Running {
    TempDir dir;
    SshServer server;
    ServerProcess process;

    explicit Running(const std::string& program) {
      ::chmod(dir.path().c_str(), 0755);
      server.port = std::to_string(free_port());
      server.key_file = dir.path() + "/user_key";
      server.known_hosts = dir.path() + "/known_hosts";
      server.user = ::getpwuid(::getuid())->pw_name;
      make_key(server.key_file);
      make_key(dir.path() + "/host_key");
      std::ofstream(server.known_hosts)
          << "[127.0.0.1]:" << server.port << " " << read_all(dir.path() + "/host_key.pub");
      const std::string config = dir.path() + "/sshd_config";
      std::ofstream(config) << "Port " << server.port << "\nListenAddress 127.0.0.1\nHostKey " << dir.path()
                            << "/host_key\nAuthorizedKeysFile " << server.key_file
                            << ".pub\nPidFile none\nStrictModes no\nPermitRootLogin yes\n"
                               "PasswordAuthentication no\nUsePAM no\nSubsystem sftp internal-sftp\n";
      ::mkdir("/run/sshd", 0755);  // sshd wants it, for its unprivileged part
      process = ServerProcess({program, "-D", "-f", config}, {}, dir.path() + "/log");
    }
  };
  TRY(needs_root("sshd"));
  TRY(find_server("bin/ssh-keygen", "ssh-keygen"));
  const std::string program = TRY(find_server("sbin/sshd", "sshd"));
  static Running running(program);
  TRY(wait_for_port(running.process, std::stoi(running.server.port)));
  return &running.server;
}

namespace {

// The command before a program that shall be nobody's where we are root. It dies with us all the same: the
// kernel forgets that wish when a process changes its user.
Result<std::vector<std::string>> as_nobody() {
  if (::geteuid() != 0) return std::vector<std::string>();
  return std::vector<std::string>{TRY(find_server("bin/setpriv", "setpriv")), "--reuid=nobody",
                                  "--regid=nogroup", "--clear-groups", "--pdeathsig=KILL"};
}

struct RunningApache {
  TempDir dir;
  WebdavServer server{std::to_string(free_port()), dir.path() + "/dav"};
  ServerProcess process;

  // `command` without its configuration.
  RunningApache(std::vector<std::string> command, WebdavLogin login) {
    ::chmod(dir.path().c_str(), 0777);
    ::mkdir(server.folder.c_str(), 0777);
    ::chmod(server.folder.c_str(), 0777);
    const bool digest = login == WebdavLogin::digest;
    std::ofstream(dir.path() + "/users") << (digest ? "tester:dav:3c5dda9cbfc82d415c7184fb036a3d5b\n"
                                                    : "tester:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    const std::string config = dir.path() + "/apache.conf";
    std::ofstream out(config);
    for (const char* module :
         {"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "dav", "dav_fs"}) {
      out << "LoadModule " << module << "_module /usr/lib/apache2/modules/mod_" << module << ".so\n";
    }
    const std::string kind = digest ? "digest" : "basic";
    out << "LoadModule auth_" << kind << "_module /usr/lib/apache2/modules/mod_auth_" << kind << ".so\n"
        << "ServerName localhost\nListen 127.0.0.1:" << server.port << "\nServerRoot " << dir.path()
        << "\nDefaultRuntimeDir " << dir.path() << "\nPidFile pid\nErrorLog error.log\n"
        << "DocumentRoot " << server.folder << "\nDavLockDB " << dir.path() << "/locks\n"
        << "KeepAliveTimeout 30\nMaxKeepAliveRequests 0\n<Location />\nDav On\nAuthName dav\nAuthType "
        << kind << "\nAuthUserFile users\nRequire valid-user\n</Location>\n";
    out.close();
    command.insert(command.end(), {"-f", config});
    process = ServerProcess(command, {}, dir.path() + "/log");
  }
};

}  // namespace

Result<const WebdavServer*> webdav_server(WebdavLogin login) {
  std::vector<std::string> command = TRY(as_nobody());
  // -X: one process. Of several, those that serve requests would go on when the first one is killed.
  command.insert(command.end(), {TRY(find_server("sbin/apache2", "apache2")), "-X"});
  static RunningApache basic(command, WebdavLogin::basic);
  static RunningApache digest(command, WebdavLogin::digest);
  RunningApache& running = login == WebdavLogin::basic ? basic : digest;
  TRY(wait_for_port(running.process, std::stoi(running.server.port)));
  return &running.server;
}

}  // namespace cider::object::testing
