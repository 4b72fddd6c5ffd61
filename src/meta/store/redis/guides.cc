#include "meta/store/redis/guides.h"

#include <algorithm>

#include "meta/store/redis/connection.h"
#include "meta/store/redis/dial.h"

namespace cider::meta::redis {

Result<Address> Guides::ask(FunctionRef<Result<Address>(const Address&)> question,
                            const std::stop_token& stop) {
  std::vector<Address> addresses;
  {
    std::lock_guard lock(mutex_);
    addresses = addresses_;
  }
  Error last;
  for (const Address& address : addresses) {
    if (stop.stop_requested()) return fail(EINTR);
    auto answer = question(address);
    move(address, answer.has_value());
    if (answer) return answer;
    last = answer.error();
  }
  return fail(last);
}

void Guides::prefer(const Address& address) {
  add({address});
  move(address, true);
}

void Guides::move(const Address& address, bool to_front) {
  std::lock_guard lock(mutex_);
  auto at = std::ranges::find(addresses_, address);
  if (to_front) {
    std::rotate(addresses_.begin(), at, std::next(at));
  } else {
    std::rotate(at, std::next(at), addresses_.end());
  }
}

void Guides::add(const std::vector<Address>& addresses) {
  std::lock_guard lock(mutex_);
  for (const Address& address : addresses) {
    if (std::ranges::find(addresses_, address) == addresses_.end()) addresses_.push_back(address);
  }
}

Commands login(const RedisUrl& url) {
  Commands commands;
  if (!url.user.empty()) {
    commands.add("AUTH", url.user, url.password);
  } else if (!url.password.empty()) {
    commands.add("AUTH", url.password);
  }
  return commands;
}

Result<std::vector<Reply>> ask_guide(const RedisUrl& url, const Address& guide, const Commands& commands,
                                     const std::stop_token& stop) {
  Connection connection(TRY(dial(url, guide)), std::min(url.read_timeout, url.dial_timeout));
  return connection.call(commands, stop);
}

}  // namespace cider::meta::redis
