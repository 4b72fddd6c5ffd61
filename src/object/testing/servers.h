// Servers that tests start for themselves: on a free port of the loopback interface, with their data in a
// temporary folder, ended with the object. For tests only.
//
// MinIO and SeaweedFS are looked for in build/tools (scripts/test.sh puts them there) and in PATH. Where one
// is missing, the tests over it are skipped with a notice; with CIDER_TEST_SERVERS=required in the
// environment, as CI sets it, they fail.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "object/object_store.h"
#include "object/testing/temp_dir.h"

namespace cider::object::testing {

// A TCP port of the loopback interface that was free a moment ago.
int free_port();

// A program of one process that ends with the object. Not thread-safe.
class ServerProcess {
 public:
  ServerProcess() = default;
  // Without input; its output goes to `log`. It dies with the calling thread, however that ends.
  ServerProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                const std::string& log);
  ~ServerProcess() { stop(); }
  ServerProcess(ServerProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ServerProcess& operator=(ServerProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  void stop();
  bool running();

 private:
  pid_t pid_ = -1;
};

// An S3 server with one pair of keys.
class S3Server {
 public:
  static constexpr const char* kAccessKey = "test-access-key";
  static constexpr const char* kSecretKey = "test-secret-key";

  // One for all tests of the process. ENODEV where it isn't installed (EIO where it must be).
  static Result<S3Server*> minio();
  static Result<S3Server*> seaweedfs();

  // What opens a bucket that no other test has.
  StoreConfig new_bucket();
  std::string url(const std::string& bucket) const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/" + bucket;
  }

 private:
  explicit S3Server(std::string storage) : storage_(std::move(storage)) {}
  static Result<std::unique_ptr<S3Server>> start_minio();
  static Result<std::unique_ptr<S3Server>> start_seaweedfs();
  Status wait_until_ready();

  const std::string storage_;
  TempDir dir_;
  int port_ = 0;
  int buckets_ = 0;
  ServerProcess process_;
};

// The path of a program in build/tools or PATH; ENODEV or, where servers are required, EIO.
Result<std::string> find_server(const std::string& tool, const std::string& name);

}  // namespace cider::object::testing
