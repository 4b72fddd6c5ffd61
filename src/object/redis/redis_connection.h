// A connection to a Redis server: commands out, replies in.
#pragma once

#include <hiredis/hiredis.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "object/redis/redis_stream.h"
#include "object/redis/redis_url.h"
#include "object/socket.h"

namespace cider::object {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

inline std::string_view text_of(const redisReply& reply) {
  return {reply.str, reply.len};
}

// Used by one thread at a time. After an error of its own (not one that the server replied) it is of no use.
class RedisConnection {
 public:
  // Connected, authenticated, in its database. EACCES where the server wants another user or password, or
  // its certificate does not hold.
  static Result<std::unique_ptr<RedisConnection>> open(const RedisAddress& address, std::stop_token stop);

  // A command's words, the last of which may be `data`. Sent with the next receive().
  void add(std::span<const std::string_view> words, const BufferChain* data = nullptr);
  void add(std::initializer_list<std::string_view> words, const BufferChain* data = nullptr) {
    add(std::span(words.begin(), words.size()), data);
  }
  // Sends what was added, and answers the replies to it, in order. A reply that is an error is one of them.
  Result<std::vector<Reply>> receive(std::stop_token stop);

  // Whether the server had closed before it said anything to what was sent: a kept connection that was too
  // old.
  bool was_closed() const { return was_closed_; }

 private:
  explicit RedisConnection(std::unique_ptr<RedisStream> stream);
  Status greet(const RedisAddress& address, const std::stop_token& stop);
  Status send(Waiter& waiter);
  Result<Reply> read_reply(Waiter& waiter);

  struct FreeReader {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  const std::unique_ptr<RedisStream> stream_;
  const std::unique_ptr<redisReader, FreeReader> reader_;
  std::vector<Buffer> out_;
  size_t expected_ = 0;
  bool was_closed_ = false;
  Millis silence_limit_;
};

// What the server's error reply means.
std::unexpected<Error> redis_error(const redisReply& reply);

}  // namespace cider::object
