// The Redis protocol (RESP2): commands to bytes, bytes to replies. Parsing is hiredis's.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct redisReader;
struct redisReply;

namespace cider::meta::redis {

// Commands to be sent together, as the bytes of the wire. Not thread-safe.
class Commands {
 public:
  // Arguments are strings and integers.
  template <class... Args>
  Commands& add(const Args&... args) {
    begin(sizeof...(args));
    (argument(args), ...);
    return *this;
  }
  // A command with a list at its end.
  Commands& add_list(std::initializer_list<std::string_view> head, std::span<const std::string> tail);
  // A command whose arguments are in several places: announces how many, to be followed by these.
  Commands& begin(size_t arguments);
  Commands& argument(std::string_view text);
  Commands& arguments(std::span<const std::string> texts);

  // Not of no command at all: whoever sends nothing would take the reply to the next one's request.
  std::string_view bytes() const {
    assert(count_ > 0);
    return bytes_;
  }
  size_t count() const { return count_; }

 private:
  template <std::integral T>
  void argument(T number) {
    argument(std::string_view(std::to_string(number)));
  }

  std::string bytes_;
  size_t count_ = 0;
};

// A reply, owned. Copies share it.
class Reply {
 public:
  enum class Kind { nil, integer, text, status, error, array };

  Reply() = default;
  explicit Reply(redisReply* owned);

  Kind kind() const;
  bool is_nil() const { return kind() == Kind::nil; }
  bool is_error() const { return kind() == Kind::error; }
  int64_t integer() const;           // 0 for anything but an integer
  std::string_view text() const;     // of text, status and error
  size_t size() const;               // of an array
  Reply operator[](size_t i) const;  // nil beyond the end
  // Text, or nullopt for nil.
  std::optional<std::string> optional_text() const;

 private:
  Reply(std::shared_ptr<redisReply> root, const redisReply* at) : root_(std::move(root)), at_(at) {}

  std::shared_ptr<redisReply> root_;
  const redisReply* at_ = nullptr;
};

// Takes bytes as they come, gives whole replies. Not thread-safe.
class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;

  // EPROTO for bytes that are no RESP.
  Status feed(std::string_view bytes);
  // The next whole reply, or nullopt where its end has not come yet.
  Result<std::optional<Reply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
};

// The word that names an error, of a command within a script too: "NOAUTH", "ERR".
std::string_view error_word(const Reply& reply);
// An error reply as an Error: EACCES for NOAUTH, WRONGPASS and NOPERM, EINVAL for WRONGTYPE, ENOSPC for OOM,
// EAGAIN where it will pass, here or with another server (LOADING, BUSY, READONLY, MASTERDOWN, NOREPLICAS,
// MISCONF; of a cluster MOVED, ASK, TRYAGAIN, CLUSTERDOWN, a script that meets a key that has moved), else
// EIO.
Error error_of(const Reply& reply);

}  // namespace cider::meta::redis
