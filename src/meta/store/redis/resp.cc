#include "meta/store/redis/resp.h"

#include <hiredis/hiredis.h>

#include <utility>

namespace cider::meta::redis {

// --- commands

Commands& Commands::add_list(std::initializer_list<std::string_view> head,
                             std::span<const std::string> tail) {
  begin(head.size() + tail.size());
  for (std::string_view text : head) argument(text);
  return arguments(tail);
}

Commands& Commands::begin(size_t arguments) {
  bytes_ += '*';
  bytes_ += std::to_string(arguments);
  bytes_ += "\r\n";
  ++count_;
  return *this;
}

Commands& Commands::arguments(std::span<const std::string> texts) {
  for (const std::string& text : texts) argument(std::string_view(text));
  return *this;
}

Commands& Commands::argument(std::string_view text) {
  bytes_ += '$';
  bytes_ += std::to_string(text.size());
  bytes_ += "\r\n";
  bytes_ += text;
  bytes_ += "\r\n";
  return *this;
}

// --- replies

Reply::Reply(redisReply* owned) : root_(owned, [](redisReply* r) { freeReplyObject(r); }), at_(owned) {}

Reply::Kind Reply::kind() const {
  if (at_ == nullptr) return Kind::nil;
  switch (at_->type) {
    case REDIS_REPLY_INTEGER:
      return Kind::integer;
    case REDIS_REPLY_STRING:
      return Kind::text;
    case REDIS_REPLY_STATUS:
      return Kind::status;
    case REDIS_REPLY_ERROR:
      return Kind::error;
    case REDIS_REPLY_ARRAY:
      return Kind::array;
    default:
      return Kind::nil;
  }
}

int64_t Reply::integer() const {
  return kind() == Kind::integer ? at_->integer : 0;
}

std::string_view Reply::text() const {
  Kind k = kind();
  if (k != Kind::text && k != Kind::status && k != Kind::error) return {};
  return {at_->str, static_cast<size_t>(at_->len)};
}

size_t Reply::size() const {
  return kind() == Kind::array ? at_->elements : 0;
}

Reply Reply::operator[](size_t i) const {
  if (i >= size()) return {};
  return {root_, at_->element[i]};
}

std::optional<std::string> Reply::optional_text() const {
  if (kind() != Kind::text) return std::nullopt;
  return std::string(text());
}

// --- the parser

void ReplyReader::Free::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

ReplyReader::ReplyReader() : reader_(redisReaderCreate()) {}
ReplyReader::~ReplyReader() = default;

Status ReplyReader::feed(std::string_view bytes) {
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK) return {};
  return fail(EPROTO, std::string("the server's answer is no RESP: ") + reader_->errstr);
}

Result<std::optional<Reply>> ReplyReader::next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
    return fail(EPROTO, std::string("the server's answer is no RESP: ") + reader_->errstr);
  }
  if (reply == nullptr) return std::optional<Reply>{};
  return std::optional(Reply(static_cast<redisReply*>(reply)));
}

// What a command answers within a script comes wrapped before Redis 7: "ERR Error running script (call to
// f_...): @user_script:1: -READONLY You can't write ...".
std::string_view error_word(const Reply& reply) {
  std::string_view text = reply.text();
  constexpr std::string_view kInner = ": -";
  if (text.starts_with("ERR ")) {
    if (size_t at = text.find(kInner); at != std::string_view::npos) text.remove_prefix(at + kInner.size());
  }
  return text.substr(0, text.find(' '));
}

Error error_of(const Reply& reply) {
  static constexpr std::pair<std::string_view, int> kCodes[] = {
      {"NOAUTH", EACCES},   {"WRONGPASS", EACCES},  {"NOPERM", EACCES},      {"WRONGTYPE", EINVAL},
      {"OOM", ENOSPC},      {"LOADING", EAGAIN},    {"BUSY", EAGAIN},        {"TRYAGAIN", EAGAIN},
      {"READONLY", EAGAIN}, {"MASTERDOWN", EAGAIN}, {"CLUSTERDOWN", EAGAIN}, {"NOREPLICAS", EAGAIN},
      {"MISCONF", EAGAIN},  {"MOVED", EAGAIN},      {"ASK", EAGAIN},
  };
  const std::string_view word = error_word(reply);
  for (const auto& [name, code] : kCodes) {
    if (word == name) return {code, "Redis: " + std::string(reply.text())};
  }
  const bool passes = reply.text().contains("attempted to access a non local key");
  return {passes ? EAGAIN : EIO, "Redis: " + std::string(reply.text())};
}

}  // namespace cider::meta::redis
