// What a store's answer means as an errno, in words for people. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "object/s3/http.h"

namespace cider::object::s3 {

struct Attempt {
  std::string_view verb;  // "get"
  std::string_view key;   // empty: of the bucket
  std::string_view bucket;
  int64_t now = 0;  // this machine's clock, seconds since 1970
};

// The error that an answer other than 2xx is.
Error error_of(const HttpResponse& response, const Attempt& attempt);
// The same for a code without an answer of its own, as DeleteObjects has them per key.
Error error_of_code(std::string_view code, std::string_view message, int status, const Attempt& attempt);
// `error`, which came before or instead of an answer, with what was attempted in front.
Error with_attempt(Error error, const Attempt& attempt);

}  // namespace cider::object::s3
