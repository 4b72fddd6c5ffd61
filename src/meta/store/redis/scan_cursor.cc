#include "meta/store/redis/scan_cursor.h"

#include <vector>

#include "meta/store/redis/keys.h"

namespace cider::meta::redis {
namespace {

std::string run_of(const Reply& info) {
  constexpr std::string_view kField = "run_id:";
  std::string_view text = info.is_error() ? std::string_view{} : info.text();
  size_t at = text.find(kField);
  if (at == text.npos) return {};
  at += kField.size();
  return std::string(text.substr(at, text.find('\r', at) - at));
}

}  // namespace

Result<Reply> ScanCursor::next(Client& client, std::initializer_list<std::string_view> command,
                               std::initializer_list<std::string_view> options, std::stop_token stop) {
  while (true) {
    Commands commands;
    if (!first_) commands.add("INFO", "server");
    std::vector<std::string> arguments(command.begin() + 1, command.end());
    arguments.push_back(cursor_);
    arguments.insert(arguments.end(), options.begin(), options.end());
    commands.add_list({*command.begin()}, arguments);
    // SCAN names no key: a node would not say that it has handed the volume, or a part of it, to another one.
    const bool guarded = *command.begin() == "SCAN" && client.keyspace().is_in_cluster();
    if (guarded) commands.add("EXISTS", client.key(kSetting), client.key(kNothing));
    const std::vector<Reply> replies = TRY(client.call(commands, stop));
    for (size_t i = first_ ? 0 : 1; i < replies.size(); ++i) {
      if (replies[i].is_error()) return fail(error_of(replies[i]));
    }
    const Reply& page = replies[first_ ? 0 : 1];
    std::string run = first_ ? std::string{} : run_of(replies.front());
    if (cursor_ != "0" && run != run_) {
      cursor_ = "0";
      continue;
    }
    run_ = std::move(run);
    cursor_ = page[0].text();
    at_end_ = cursor_ == "0";
    if (first_) cursor_ = "0";  // which run gave it is not known
    first_ = false;
    return page[1];
  }
}

}  // namespace cider::meta::redis
