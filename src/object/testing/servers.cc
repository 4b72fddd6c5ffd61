#include "object/testing/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/unique_fd.h"
#include "object/testing/stores.h"

namespace cider::object::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kReadySeconds = 60;

// The programs stand in build/tools of the source tree, which the tests run anywhere below.
std::string in_tools(const std::string& tool) {
  std::error_code ignored;
  for (fs::path dir = fs::read_symlink("/proc/self/exe", ignored).parent_path(); dir != dir.root_path();
       dir = dir.parent_path()) {
    const fs::path path = dir / "tools" / tool;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

std::string in_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::stringstream dirs(path ? path : "");
  for (std::string dir; std::getline(dirs, dir, ':');) {
    const std::string file = dir + "/" + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::string end_of(const std::string& log) {
  std::ifstream in(log);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

}  // namespace

int free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

ServerProcess::ServerProcess(const std::vector<std::string>& command,
                             const std::vector<std::string>& environment, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (const std::string& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
  for (char** inherited = ::environ; *inherited; ++inherited) variables.push_back(*inherited);
  variables.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it has died already
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  for (int fd : {1, 2}) ::dup2(out, fd);
  ::execve(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

void ServerProcess::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

bool ServerProcess::running() {
  if (pid_ <= 0) return false;
  if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

Result<std::string> find_server(const std::string& tool, const std::string& name) {
  std::string path = in_tools(tool);
  if (path.empty()) path = in_path(name);
  if (!path.empty()) return path;
  const char* required = std::getenv("CIDER_TEST_SERVERS");
  return fail(required && std::string(required) == "required" ? EIO : ENODEV,
              "there is no " + name + " in build/tools or PATH; scripts/test.sh servers installs it");
}

StoreConfig S3Server::new_bucket() {
  StoreConfig config;
  config.storage = storage_;
  config.bucket = url("test-bucket-" + std::to_string(++buckets_));
  config.access_key = kAccessKey;
  config.secret_key = kSecretKey;
  return config;
}

Status S3Server::wait_until_ready() {
  auto store = TRY(open_store(new_bucket()));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kReadySeconds);
  Status last;
  while (process_.running() && std::chrono::steady_clock::now() < end) {
    last = store->create();
    if (last) last = store->put("ready", chain({"x"}), {});
    if (last) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return fail(EIO, "the server does not start: " + (last ? "" : last.error().to_string()) + "\n" +
                       end_of(dir_.path() + "/log"));
}

Result<std::unique_ptr<S3Server>> S3Server::start_minio() {
  const std::string program = TRY(find_server("bin/minio", "minio"));
  std::unique_ptr<S3Server> server(new S3Server("minio"));
  server->port_ = free_port();
  server->process_ =
      ServerProcess({program, "server", "--quiet", "--address", "127.0.0.1:" + std::to_string(server->port_),
                     server->dir_.path() + "/data"},
                    {std::string("MINIO_ROOT_USER=") + kAccessKey,
                     std::string("MINIO_ROOT_PASSWORD=") + kSecretKey, "MINIO_BROWSER=off"},
                    server->dir_.path() + "/log");
  TRY(server->wait_until_ready());
  return server;
}

Result<std::unique_ptr<S3Server>> S3Server::start_seaweedfs() {
  const std::string program = TRY(find_server("seaweedfs/bin/weed", "weed"));
  std::unique_ptr<S3Server> server(new S3Server("s3"));
  const std::string config = server->dir_.path() + "/identities.json";
  std::ofstream(config) << R"({"identities":[{"name":"test","credentials":[{"accessKey":")" << kAccessKey
                        << R"(","secretKey":")" << kSecretKey
                        << R"("}],"actions":["Admin","Read","Write","List","Tagging"]}]})";
  fs::create_directories(server->dir_.path() + "/data");
  server->port_ = free_port();
  std::vector<std::string> command = {program,
                                      "server",
                                      "-ip=127.0.0.1",
                                      "-ip.bind=127.0.0.1",
                                      "-dir=" + server->dir_.path() + "/data",
                                      "-s3",
                                      "-s3.config=" + config,
                                      "-s3.port=" + std::to_string(server->port_),
                                      "-volume.max=2000",
                                      "-master.volumeSizeLimitMB=64",
                                      "-master.telemetry=false"};
  for (const char* port : {"master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
                           "filer.port.grpc", "s3.port.grpc"}) {
    command.push_back(std::string("-") + port + "=" + std::to_string(free_port()));
  }
  server->process_ = ServerProcess(command, {}, server->dir_.path() + "/log");
  TRY(server->wait_until_ready());
  return server;
}

Result<S3Server*> S3Server::minio() {
  static const auto server = start_minio();
  if (!server) return fail(server.error());
  return server->get();
}

Result<S3Server*> S3Server::seaweedfs() {
  static const auto server = start_seaweedfs();
  if (!server) return fail(server.error());
  return server->get();
}

}  // namespace cider::object::testing
