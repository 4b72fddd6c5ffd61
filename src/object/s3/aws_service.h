// What the requests have in common that AWS's services answer with keys: where, for how long, in which words
// they are refused. Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"
#include "object/s3/http.h"

namespace cider::object::s3 {

// What the environment variable names, else "https://SERVICE.REGION.amazonaws.com" ("" is no region); without
// a slash at its end.
std::string aws_service_url(const char* variable, const std::string& service, const std::string& region,
                            const Environment& env);

// One request over a connection of its own: the next is most of an hour away. What the network says has
// `name` in front.
Result<HttpResponse> ask_aws_service(const std::string& name, HttpRequest request,
                                     const SourceContext& context);

// `what`, with how the service refuses it: EAGAIN where it asks to try later, else EACCES. Code and message
// are the service's, in service_words().
Error aws_refusal(const std::string& what, int status, const std::string& code, const std::string& message);

// `text` without the secrets, which services repeat where they find them malformed, without what a terminal
// would take for more than words, and not too long.
std::string service_words(std::string text, std::initializer_list<std::string_view> secrets);

}  // namespace cider::object::s3
