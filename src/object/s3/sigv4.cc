#include "object/s3/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/bytes.h"

namespace cider::object::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string digest(const EVP_MD* kind, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, kind, nullptr);
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  return {reinterpret_cast<const char*>(out.data()), size};
}

// Runs of blanks count as one, those at the ends not at all.
std::string trimmed(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\t') c = ' ';
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

Pairs sorted_headers(const RequestToSign& request) {
  Pairs headers = request.headers;
  std::ranges::stable_sort(headers, {}, &Pairs::value_type::first);
  return headers;
}

std::string signed_headers(const Pairs& sorted) {
  std::string names;
  for (const auto& [name, value] : sorted) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string scope_of(const Signer& signer, std::string_view date) {
  return std::string(date.substr(0, 8)) + "/" + signer.region + "/" + signer.service + "/aws4_request";
}

std::string signature(const Signer& signer, const RequestToSign& request, std::string_view date) {
  const std::string to_sign = std::string(kAlgorithm) + "\n" + std::string(date) + "\n" +
                              scope_of(signer, date) + "\n" + sha256_hex(canonical_request(request));
  std::string key = hmac("AWS4" + signer.secret_key, date.substr(0, 8));
  for (std::string_view part : {std::string_view(signer.region), std::string_view(signer.service),
                                std::string_view("aws4_request")}) {
    key = hmac(key, part);
  }
  return to_hex(hmac(key, to_sign));
}

}  // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                       (keep_slash && c == '/');
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string canonical_query(const Pairs& query) {
  Pairs encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query)
    encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::string amz_date(int64_t seconds) {
  const auto time = static_cast<time_t>(seconds);
  tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts)};
}

std::string sha256_hex(std::string_view text) {
  return to_hex(digest(EVP_sha256(), text));
}

std::string md5_base64(std::string_view text) {
  const std::string md5 = digest(EVP_md5(), text);
  std::array<unsigned char, 32> out;
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(md5.data()),
                                   static_cast<int>(md5.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<size_t>(size)};
}

std::string canonical_request(const RequestToSign& request) {
  const Pairs headers = sorted_headers(request);
  std::string out =
      std::string(request.method) + "\n" + request.path + "\n" + canonical_query(request.query) + "\n";
  for (const auto& [name, value] : headers) out += name + ":" + trimmed(value) + "\n";
  return out + "\n" + signed_headers(headers) + "\n" + request.payload_hash;
}

std::string authorization(const Signer& signer, const RequestToSign& request, std::string_view date) {
  return std::string(kAlgorithm) + " Credential=" + signer.access_key + "/" + scope_of(signer, date) +
         ",SignedHeaders=" + signed_headers(sorted_headers(request)) +
         ",Signature=" + signature(signer, request, date);
}

std::string presigned_query(const Signer& signer, RequestToSign request, std::string_view date,
                            int64_t expires) {
  request.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  request.query.emplace_back("X-Amz-Credential", signer.access_key + "/" + scope_of(signer, date));
  request.query.emplace_back("X-Amz-Date", date);
  request.query.emplace_back("X-Amz-Expires", std::to_string(expires));
  request.query.emplace_back("X-Amz-SignedHeaders", signed_headers(sorted_headers(request)));
  return canonical_query(request.query) + "&X-Amz-Signature=" + signature(signer, request, date);
}

}  // namespace cider::object::s3
