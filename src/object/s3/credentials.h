// Where the keys of a store come from: the volume's setting; else environment variables, a web identity,
// a profile of AWS's files, the container's and the instance's metadata service, in this order
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html); else requests go unsigned.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "object/s3/compatible.h"
#include "object/s3/endpoint.h"

namespace cider::object::s3 {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;
  std::optional<int64_t> expires;  // seconds since 1970

  bool anonymous() const { return access_key.empty(); }
};

// What a source of keys asks.
struct SourceContext {
  const Environment& env;
  const Clock& clock;
  std::stop_token stop;

  int64_t now() const { return clock.now().sec; }
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; anonymous where no key is set.
Credentials environment_credentials(const Environment& env);

// Thread-safe. Keys that expire are fetched again some minutes before, by one caller; the others use those
// that hold, and all do while it fails, with a try every few seconds.
class CredentialSource {
 public:
  // `given` counts if it has a key; the key "anonymous" asks for unsigned requests.
  CredentialSource(const Provider& provider, Credentials given, Environment env,
                   const Clock& clock = Clock::system());

  // EACCES, EINVAL or what the network says, with the source's name.
  Result<Credentials> get(std::stop_token stop);

 private:
  Result<Credentials> look(std::stop_token stop);
  Result<Credentials> take(Result<Credentials> found);

  const Provider& provider_;
  const Credentials given_;
  const Environment env_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any looked_;
  std::optional<Credentials> known_;
  bool looking_ = false;  // somebody does
  int64_t try_again_ = 0;
};

}  // namespace cider::object::s3
