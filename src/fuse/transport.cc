#include "fuse/transport.h"

#include <array>
#include <cassert>
#include <climits>
#include <cstring>
#include <exception>
#include <string>

#include "base/log.h"

namespace cider::fuse {
namespace {

// One iovec is left to the header.
constexpr size_t kMaxPieces = IOV_MAX - 1;

iovec to_iovec(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

Request::Request(std::string_view message, Buffer* store, MemoryBudget* budget)
    : store_(store), budget_(budget) {
  std::memcpy(&header_, message.data(), sizeof header_);
  body_ = message.substr(sizeof header_);
  body_.remove_suffix(8UL * header_.total_extlen);
}

Buffer Request::keep(std::string_view part) {
  if (store_ && part.size() >= kTakeOver) {
    Buffer whole = std::move(*store_);
    *store_ = {};
    return whole.slice(reinterpret_cast<const std::byte*>(part.data()) - whole.data(), part.size());
  }
  Buffer copy = Buffer::allocate(part.size(), budget_);
  std::memcpy(copy.mutable_data(), part.data(), part.size());
  return copy;
}

Reply::~Reply() {
  if (!sink_) return;
  log::error("fuse: request " + std::to_string(unique_) + " was dropped without an answer; answering EIO");
  send(EIO, {});
}

bool Reply::send(int code, std::span<const iovec> payload) {
  assert(sink_ && "a request is answered exactly once");
  ReplySink* sink = std::exchange(sink_, nullptr);
  return sink && sink->answer(unique_, code, payload);
}

bool Reply::error(int code) {
  // The kernel takes -511 to 0 only.
  return send(code >= 0 && code < 512 ? code : EIO, {});
}

bool Reply::bytes(std::string_view payload) {
  iovec piece = to_iovec(payload);
  return send(0, {&piece, 1});
}

bool Reply::chain(const BufferChain& payload) {
  std::array<iovec, kMaxPieces> pieces;
  size_t count = 0;
  size_t direct = payload.size() <= kMaxPieces ? payload.size() : kMaxPieces - 1;
  for (; count < direct; ++count) pieces[count] = to_iovec(payload[count].text());
  std::string rest;  // what is beyond the limit of one writev, in one piece
  for (size_t i = direct; i < payload.size(); ++i) rest += payload[i].text();
  if (!rest.empty()) pieces[count++] = to_iovec(rest);
  return send(0, {pieces.data(), count});
}

void Reply::forget_attributes(uint64_t nodeid) {
  fuse_notify_inval_inode_out out{.ino = nodeid, .off = -1, .len = 0};
  iovec piece{&out, sizeof out};
  Status sent = sink_->notify(FUSE_NOTIFY_INVAL_INODE, {&piece, 1});
  if (!sent && sent.error().code != ENOENT) log::debug("fuse: INVAL_INODE: " + sent.error().to_string());
}

void deliver(std::string_view message, Buffer* store, MemoryBudget* budget, ReplySink& sink,
             RequestHandler& handler) noexcept try {
  fuse_in_header header;
  if (message.size() < sizeof header) {
    log::error("fuse: dropped a message of " + std::to_string(message.size()) +
               " bytes, shorter than a header");
    return;
  }
  std::memcpy(&header, message.data(), sizeof header);
  Reply reply(sink, header.unique);
  if (header.len != message.size() || 8UL * header.total_extlen > message.size() - sizeof header) {
    log::error("fuse: request " + std::to_string(header.unique) + " says it is " +
               std::to_string(header.len) + " bytes long but has " + std::to_string(message.size()));
    reply.error(EIO);
    return;
  }
  Request request(message, store, budget);
  handler.handle(request, std::move(reply));
} catch (const std::exception& e) {
  log::error(std::string("fuse: a request failed: ") + e.what());  // its Reply has answered EIO
}

}  // namespace cider::fuse
