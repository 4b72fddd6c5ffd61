// A TiKV store and its placement driver (tests/tikv), in a temporary folder and on a port of their own. For
// tests only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "meta/testing/certificates.h"

namespace cider::meta::testing {

class TikvServer {
 public:
  // `splits`: the first keys of more regions than one. `proxied_port`: who asks at this port, too, is sent to
  // `proxy_port`. Throws where it doesn't start.
  explicit TikvServer(std::vector<std::string> splits = {}, std::string proxied_port = {},
                      std::string proxy_port = {});
  // One that speaks TLS alone, as localhost. `tls`: a client's options.
  TikvServer(const Certificates& certificates, std::string tls);
  ~TikvServer();
  TikvServer(const TikvServer&) = delete;

  std::string url(const std::string& prefix) const {
    return url_of_host(tls_.empty() ? "127.0.0.1" : "localhost", prefix, tls_);
  }
  std::string url_of_host(const std::string& host, const std::string& prefix, const std::string& tls) const {
    return "tikv://" + host + ":" + port_ + "/" + prefix + (tls.empty() ? "" : "?" + tls);
  }
  const std::string& port() const { return port_; }
  pid_t pid() const { return pid_; }
  void stop(int signal);
  void start();  // with what it had answered before
  // What the program's client, client-go, prints, line by line; throws where it fails. `arguments`: those
  // after the address, see tests/tikv/client.go.
  std::vector<std::string> ask_client_go(const std::vector<std::string>& arguments) const;

  // The program of CIDER_TIKV_SERVER, or else build/tools/bin/tikv-server; false where neither is there,
  // unless CIDER_TEST_SERVERS asks for every server.
  static bool is_there();
  static TikvServer& shared();  // started when it is first asked for
  // On the shared one, a volume below this prefix has its inodes in two regions, and the rest in others: some
  // changes are of one region, some of several.
  static constexpr const char* kPartedPrefix = "parted";

 private:
  void make_folder();

  const std::vector<std::string> splits_;
  std::filesystem::path dir_;
  std::string port_;
  std::string addresses_;
  std::vector<std::string> options_;
  std::string tls_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
