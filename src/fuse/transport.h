// The seam between the kernel and the dispatcher: how requests come in and answers go out. /dev/fuse with
// reader threads is one back end (dev_transport.h), io_uring rings another (ring_workers.h).
//
// A request is handed to RequestHandler::handle() on some thread of the transport. Its Reply may be answered
// there or kept and answered later from any thread, exactly once.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "base/result.h"
#include "fuse/protocol.h"

namespace cider::fuse {

// Data of at least so many bytes is taken over with its receive buffer. Below, a copy costs no more than a
// new buffer, which would hold four times the data's size and more. Measured with 128 KiB writes: the same
// CPU both ways.
inline constexpr size_t kTakeOver = 256 << 10;

// One message of the kernel. Views into it hold until handle() returns.
class Request {
 public:
  // `message` has been checked by deliver(). `store` is the receive buffer it lies in; null: it can't be
  // taken over.
  Request(std::string_view message, Buffer* store, MemoryBudget* budget);

  const fuse_in_header& header() const { return header_; }
  // The arguments after the header, without extensions.
  std::string_view body() const { return body_; }

  // A part of the body as a Buffer that outlives the request: a large part by taking over the receive buffer,
  // a small one by copying, so that 4 KiB of data never hold a megabyte. At most once per request.
  Buffer keep(std::string_view part);

 private:
  fuse_in_header header_;
  std::string_view body_;
  Buffer* store_;
  MemoryBudget* budget_;
};

// Where answers and notifications go. Thread-safe.
class ReplySink {
 public:
  virtual ~ReplySink() = default;

  // Sends the one answer to request `unique`: an errno (0: success) and the gathered payload. False if the
  // kernel no longer waits for it or could not take it.
  virtual bool answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept = 0;

  // Sends a notification; `code` is a FUSE_NOTIFY_*. May wait for locks of the kernel that requests hold.
  // ENOENT: the kernel does not know the inode or name.
  virtual Status notify(int code, std::span<const iovec> payload) = 0;
};

// The duty to answer one request. Dropped unanswered it answers EIO and says so in the log.
// Every answering function returns what ReplySink::answer() does.
class Reply {
 public:
  Reply(ReplySink& sink, uint64_t unique) : sink_(&sink), unique_(unique) {}
  Reply(Reply&& other) noexcept : sink_(std::exchange(other.sink_, nullptr)), unique_(other.unique_) {}
  Reply& operator=(Reply&&) = delete;
  ~Reply();

  bool error(int code);  // an errno; 0 answers success without a payload
  bool ok() { return send(0, {}); }
  bool bytes(std::string_view payload);
  bool gather(std::span<const iovec> payload) { return send(0, payload); }
  bool chain(const BufferChain& payload);
  template <class T>
  bool value(const T& out) {
    return bytes({reinterpret_cast<const char*>(&out), sizeof out});
  }
  void none() { sink_ = nullptr; }  // for requests that want no answer

  // Before the answer: makes the kernel forget the inode's attributes (not its pages), so that the caller
  // sees them anew. Only where the request itself holds the inode in the kernel (open): then this never
  // waits.
  void forget_attributes(uint64_t nodeid);

 private:
  bool send(int code, std::span<const iovec> payload);

  ReplySink* sink_;
  uint64_t unique_;
};

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void handle(Request& request, Reply reply) = 0;
};

// Checks a received message's header and hands it on; a message that lies about its length is answered with
// EIO. Never throws.
void deliver(std::string_view message, Buffer* store, MemoryBudget* budget, ReplySink& sink,
             RequestHandler& handler) noexcept;

class Transport : public ReplySink {
 public:
  // Starts handing requests to `handler`, which must live until wait() has returned.
  virtual Status start(RequestHandler& handler) = 0;
  // Waits until the kernel has ended the connection (unmounted, aborted); handlers may still be at work.
  virtual void wait_closed() = 0;
  // Waits until the last handler has returned and no thread is left. After wait_closed().
  virtual void join() = 0;
};

}  // namespace cider::fuse
