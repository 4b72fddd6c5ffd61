// Keys that a program prints, as `credential_process` of a profile asks
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html). Neither the command
// line nor what the program prints is in a message: both may be secret. Its stderr is that of this process.
// Thread-safe.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "object/s3/credentials.h"

namespace cider::object::s3 {

inline constexpr Millis kCredentialProcessTimeout{60'000};

// Runs the command and reads its keys.
Result<Credentials> process_credentials(const std::string& command, const SourceContext& context);

// The output of a command that ends well within `limit`. The command is split into words as a shell does it,
// with quotes, ~, $NAME and wildcards, but no shell runs: EINVAL for pipes, lists of commands and what else
// needs one. ETIMEDOUT and EINTR (`stop` was requested), having killed the program and its children; EACCES
// where it fails or prints too much; ENOENT ... where it can't be started.
Result<std::string> process_output(const std::string& command, Millis limit, const std::stop_token& stop);

// What the program prints: EACCES for anything but keys that hold at `now` (seconds since 1970).
Result<Credentials> parse_process_credentials(std::string_view json, int64_t now);

}  // namespace cider::object::s3
