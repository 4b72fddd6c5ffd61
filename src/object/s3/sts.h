// Requests to AWS's Security Token Service (STS), which gives keys of a role for a while
// (https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html). Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"
#include "object/s3/sigv4.h"

namespace cider::object::s3 {

struct StsRequest {
  std::string action;  // "AssumeRole"
  std::string role;
  std::string session;         // "" is "ciderfs"
  Pairs more = {};             // parameters of the action
  std::string region = {};     // "" asks the global service
  std::string secret = {};     // a parameter that no message may have
  Credentials signed_by = {};  // anonymous: unsigned
};

// Asks the service of the region, or the one at AWS_ENDPOINT_URL_STS. EACCES where it refuses; EAGAIN where
// it asks to try later; EIO for an answer that is none; else what the network says.
Result<Credentials> ask_sts(const StsRequest& request, const SourceContext& context);

// <ACTIONResponse>: EIO for anything else.
Result<Credentials> parse_sts_answer(std::string_view xml, const std::string& action);

// AWS_REGION or AWS_DEFAULT_REGION; "" where neither is set.
std::string environment_region(const Environment& env);

}  // namespace cider::object::s3
