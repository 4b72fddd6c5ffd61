#include "object/redis/redis_connection.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstring>

namespace cider::object {
namespace {

constexpr Millis kConnectLimit{5'000};
constexpr Millis kSilenceLimit{30'000};
constexpr size_t kPieces = 64;  // of one sendmsg
constexpr size_t kReceive = 64 << 10;

Buffer buffer_of(std::string_view bytes) {
  Buffer buffer = Buffer::allocate(bytes.size(), nullptr);
  std::memcpy(buffer.mutable_data(), bytes.data(), bytes.size());
  return buffer;
}

bool is_closed(int code) {
  return code == EPIPE || code == ECONNRESET;
}

}  // namespace

std::unexpected<Error> redis_error(const redisReply& reply) {
  const std::string_view text = text_of(reply);
  const auto begins = [&](std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view word) { return text.starts_with(word); });
  };
  int code = EIO;
  if (begins({"NOAUTH", "WRONGPASS", "NOPERM", "ERR invalid password", "ERR Client sent AUTH"}))
    code = EACCES;
  if (begins({"OOM"})) code = ENOSPC;
  if (begins({"READONLY"})) code = EROFS;
  if (begins({"LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "ERR max number of clients"})) code = EAGAIN;
  if (begins({"MOVED", "ASK", "CLUSTERDOWN"})) {
    return fail(ENOTSUP, "the Redis server is part of a cluster, which is not supported for objects");
  }
  return fail(code, "the Redis server says: " + std::string(text));
}

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisAddress& address,
                                                               std::stop_token stop) {
  Waiter waiter(stop);
  UniqueFd socket =
      TRY(address.socket.empty() ? connect_tcp(address.host, address.port, kConnectLimit, waiter)
                                 : connect_unix(address.socket));
  std::unique_ptr<RedisStream> stream =
      address.tls ? TRY(tls_stream(std::move(socket), address.host, waiter, kConnectLimit))
                  : plain_stream(std::move(socket));
  std::unique_ptr<RedisConnection> connection(new RedisConnection(std::move(stream)));
  TRY(connection->greet(address, stop));
  connection->silence_limit_ = kSilenceLimit;
  return connection;
}

RedisConnection::RedisConnection(std::unique_ptr<RedisStream> stream)
    : stream_(std::move(stream)), reader_(redisReaderCreate()), silence_limit_(kConnectLimit) {}

Status RedisConnection::greet(const RedisAddress& address, const std::stop_token& stop) {
  if (!address.password.empty() && !address.user.empty()) {
    add({"AUTH", address.user, address.password});
  } else if (!address.password.empty()) {
    add({"AUTH", address.password});
  }
  const std::string db = std::to_string(address.db);
  add({"SELECT", db});
  for (const Reply& reply : TRY(receive(stop))) {
    if (reply->type != REDIS_REPLY_ERROR) continue;
    auto error = redis_error(*reply);
    return fail(error.error().code, address.shown() + ": " + error.error().message);
  }
  return {};
}

void RedisConnection::add(std::span<const std::string_view> words, const BufferChain* data) {
  std::string head = "*" + std::to_string(words.size() + (data ? 1 : 0)) + "\r\n";
  for (std::string_view word : words) {
    head += "$" + std::to_string(word.size()) + "\r\n";
    head += word;
    head += "\r\n";
  }
  if (data) head += "$" + std::to_string(total_size(*data)) + "\r\n";
  out_.push_back(buffer_of(head));
  if (data) {
    out_.insert(out_.end(), data->begin(), data->end());
    out_.push_back(buffer_of("\r\n"));
  }
  expected_++;
}

Result<std::vector<Reply>> RedisConnection::receive(std::stop_token stop) {
  Waiter waiter(std::move(stop));
  std::vector<Reply> replies;
  if (Status sent = send(waiter); !sent) return fail(std::move(sent).error());
  for (; expected_ > 0; expected_--) {
    Result<Reply> reply = read_reply(waiter);
    if (!reply) {
      was_closed_ = was_closed_ && replies.empty();
      return fail(std::move(reply).error());
    }
    replies.push_back(*std::move(reply));
  }
  return replies;
}

Status RedisConnection::send(Waiter& waiter) {
  size_t next = 0;
  size_t offset = 0;  // in the next piece
  while (next < out_.size()) {
    iovec pieces[kPieces];
    size_t count = 0;
    for (size_t i = next; i < out_.size() && count < kPieces; i++) {
      const size_t skip = i == next ? offset : 0;
      pieces[count++] = {const_cast<std::byte*>(out_[i].data()) + skip, out_[i].size() - skip};
    }
    const auto sent = stream_->send({pieces, count}, waiter, silence_limit_);
    if (!sent) {
      was_closed_ = is_closed(sent.error().code);
      return fail(sent.error().code, sent.error().message);
    }
    for (size_t rest = *sent; next < out_.size();) {
      const size_t left = out_[next].size() - offset;
      if (rest < left) {
        offset += rest;
        break;
      }
      rest -= left;
      offset = 0;
      next++;
    }
  }
  out_.clear();
  return {};
}

Result<Reply> RedisConnection::read_reply(Waiter& waiter) {
  char bytes[kReceive];
  bool heard = false;
  while (true) {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
      return fail(EIO, "the Redis server sends what is no reply: " + std::string(reader_->errstr));
    }
    if (reply) return Reply(static_cast<redisReply*>(reply));
    const auto got = stream_->receive(bytes, waiter, silence_limit_);
    if (got ? *got == 0 : is_closed(got.error().code)) {
      was_closed_ = !heard;
      return fail(ECONNRESET, "the Redis server has closed the connection");
    }
    if (!got) return fail(got.error().code, got.error().message);
    heard = true;
    redisReaderFeed(reader_.get(), bytes, *got);
  }
}

}  // namespace cider::object
