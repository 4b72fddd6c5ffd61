// Certificates of a test's own, made by openssl(1) in a temporary folder: of a server and of a client that an
// authority has signed, and another authority's. For tests only.
#pragma once

#include <string>

namespace cider::meta::testing {

class Certificates {
 public:
  Certificates();  // throws where there is no openssl
  ~Certificates();
  Certificates(const Certificates&) = delete;

  const std::string& dir() const { return dir_; }
  std::string ca() const { return dir_ + "/ca.crt"; }
  std::string other_ca() const { return dir_ + "/other.crt"; }
  std::string server() const { return dir_ + "/server.crt"; }  // of the name "localhost" alone
  std::string server_key() const { return dir_ + "/server.key"; }
  std::string client() const { return dir_ + "/client.crt"; }  // of the user "bearer"
  std::string client_key() const { return dir_ + "/client.key"; }

 private:
  void shell(const std::string& command) const;
  void make_authority(const std::string& name) const;
  void make(const std::string& name, const std::string& subject) const;

  std::string dir_;
};

}  // namespace cider::meta::testing
