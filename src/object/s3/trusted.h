// The certificates by which servers are checked, read once for all connections: with the system's each
// connection would else hold a MiB.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"

struct x509_store_st;

namespace cider::object::s3 {

// Thread-safe.
class Trusted {
 public:
  using Store = std::shared_ptr<x509_store_st>;

  // Of a PEM file and a folder as OpenSSL has them; either may be empty.
  Trusted(std::string file, std::string folder) : file_(std::move(file)), folder_(std::move(folder)) {}

  // Read anew where an hour has passed, so that renewed ones count; where they can't be read then, those of
  // before are answered. EINVAL.
  Result<Store> get();

 private:
  Result<Store> read() const;

  const std::string file_;
  const std::string folder_;
  std::mutex mutex_;
  Store store_;
  Monotonic::time_point read_at_;
};

}  // namespace cider::object::s3
