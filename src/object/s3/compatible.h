// The stores that speak S3's interface, as rules: how their URLs look, which region is signed for, which
// style they want, whose environment variables hold the keys. A new one is a line of the table in
// compatible.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::object::s3 {

struct Endpoint;

struct Provider {
  std::string_view name;  // of the storage
  std::string_view form;  // of the bucket's URL, for messages
  bool tls_by_default = true;
  // Sets region, style and, where the S3 interface has a host of its own, host; of an endpoint whose host and
  // bucket are known. EINVAL for a host that the store can't have.
  Status (*apply)(Endpoint& endpoint) = nullptr;
  std::string_view region_variable = {};
  std::string_view key_variable = {};
  std::string_view secret_variable = {};
  std::string_view token_variable = {};
  bool aws_credentials = false;  // AWS's own sources count as well
  bool instance_metadata = false;
  bool list_v1 = false;     // knows the first version of listings only
  bool delete_many = true;  // knows DeleteObjects
};

std::span<const Provider> providers();
// Null where there is none of this name.
const Provider* find_provider(std::string_view name);

}  // namespace cider::object::s3
