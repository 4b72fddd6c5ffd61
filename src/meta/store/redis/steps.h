// A call of the script (script.h) as it is put together: keys and arguments of its checks and writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "meta/store/redis/keyspace.h"

namespace cider::meta::redis {

// Keys are given by their names.
class Steps {
 public:
  // `keyspace` must outlive the steps.
  explicit Steps(const Keyspace& keyspace) : keyspace_(&keyspace) {}

  std::vector<std::string> keys;
  std::vector<std::string> args;
  size_t checks = 0;
  size_t writes = 0;

  // A check has no write before it.
  template <class... Args>
  void check(char op, std::string key, const Args&... more) {
    ++checks;
    push(op, std::move(key), more...);
  }
  template <class... Args>
  void write(char op, std::string key, const Args&... more) {
    ++writes;
    push(op, std::move(key), more...);
  }
  // A write that is one Redis command on one key.
  template <class... Args>
  void command(std::string_view name, std::string key, const Args&... more) {
    write('R', std::move(key), name, sizeof...(more), more...);
  }
  void key(std::string_view more) { keys.push_back(key_of(more)); }
  // For keys among the arguments.
  std::string key_of(std::string_view name) const { return keyspace_->key(name); }
  const std::string& key_prefix() const { return keyspace_->prefix(); }

 private:
  template <class... Args>
  void push(char op, std::string key, const Args&... more) {
    keys.push_back(keyspace_->key(std::move(key)));
    args.emplace_back(1, op);
    (push_arg(more), ...);
  }
  void push_arg(std::string_view text) { args.emplace_back(text); }
  template <std::integral T>
  void push_arg(T number) {
    args.push_back(std::to_string(number));
  }

  const Keyspace* keyspace_;
};

}  // namespace cider::meta::redis
