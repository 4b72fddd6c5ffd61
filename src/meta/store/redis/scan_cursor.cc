#include "meta/store/redis/scan_cursor.h"

#include <vector>

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
    std::vector<Reply> replies = TRY(client.call(commands, stop));
    const Reply& page = replies.back();
    if (page.is_error()) return fail(error_of(page));
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
