// RSA keys for tests, made anew.
#pragma once

#include <string>

namespace cider::object::testing {

enum class PemStyle { pkcs8, traditional };

// An RSA key in PEM; protected if there is a passphrase. Short by default, as making a key takes long.
std::string make_rsa_pem(PemStyle style, const std::string& passphrase = {}, int bits = 1024);
// A key of another kind.
std::string make_ec_pem();

}  // namespace cider::object::testing
