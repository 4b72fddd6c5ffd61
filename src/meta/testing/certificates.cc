#include "meta/testing/certificates.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "meta/testing/shell.h"

namespace cider::meta::testing {

Certificates::Certificates() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-tls-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  // Servers that run as a user of their own read it, too.
  std::filesystem::permissions(dir_, std::filesystem::perms(0755));
  make_authority("ca");
  make_authority("other");
  std::ofstream(dir_ + "/server.ext") << "subjectAltName=DNS:localhost\n";
  std::ofstream(dir_ + "/client.ext") << "subjectAltName=DNS:client\n";
  make("server", "localhost");
  make("client", "bearer");
}

Certificates::~Certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void Certificates::shell(const std::string& command) const {
  (void)output_of("cd " + shell_quoted(dir_) + " && " + command + " 2>&1");
}

void Certificates::make_authority(const std::string& name) const {
  shell("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority-" + name + " -keyout " + name +
        ".key -out " + name + ".crt");
}

void Certificates::make(const std::string& name, const std::string& subject) const {
  shell("openssl req -newkey rsa:2048 -nodes -subj /CN=" + subject + " -keyout " + name + ".key -out " +
        name + ".csr");
  shell("openssl x509 -req -in " + name + ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile " +
        name + ".ext -out " + name + ".crt");
}

}  // namespace cider::meta::testing
