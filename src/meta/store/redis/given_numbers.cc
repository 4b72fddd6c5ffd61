#include "meta/store/redis/given_numbers.h"

#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

constexpr std::string_view kRaise = R"lua(
local raised = 0
for i, k in ipairs(KEYS) do
  if tonumber(redis.call('GET', k) or '0') < tonumber(ARGV[i]) then
    redis.call('SET', k, ARGV[i])
    raised = 1
  end
end
return raised
)lua";

}  // namespace

const std::array<std::string, GivenNumbers::kCounters>& GivenNumbers::names() {
  static const std::array<std::string, kCounters> names{
      counter_key(Counter::next_inode), counter_key(Counter::next_chunk), counter_key(Counter::next_session),
      std::string(kAclMax)};
  return names;
}

void GivenNumbers::note(std::string_view name, int64_t value) {
  for (size_t i = 0; i < kCounters; ++i) {
    if (names()[i] != name) continue;
    int64_t known = highest_[i];
    while (known < value && !highest_[i].compare_exchange_weak(known, value)) {
    }
  }
}

Result<bool> GivenNumbers::raise(Connection& connection, const Keyspace& keyspace) {
  std::vector<std::string> given;
  std::vector<std::string> values;
  for (size_t i = 0; i < kCounters; ++i) {
    if (highest_[i] == 0) continue;
    given.push_back(keyspace.key(names()[i]));
    values.push_back(std::to_string(highest_[i]));
  }
  if (given.empty()) return false;
  std::vector<std::string> arguments{std::to_string(given.size())};
  arguments.insert(arguments.end(), given.begin(), given.end());
  arguments.insert(arguments.end(), values.begin(), values.end());
  Commands commands;
  commands.add_list({"EVAL", kRaise}, arguments);
  Reply reply = TRY(connection.call(commands)).front();
  if (reply.is_error()) return fail(error_of(reply));
  return reply.integer() == 1;
}

}  // namespace cider::meta::redis
