#include "fuse/dev_transport.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <cstring>
#include <new>
#include <string>
#include <system_error>

#include "base/log.h"
#include "fuse/receiver_thread.h"

namespace cider::fuse {
namespace {

constexpr size_t kPage = 4096;
// A message is read so that the data of a WRITE, behind these structures, begins on a page.
constexpr size_t kFront = sizeof(fuse_in_header) + sizeof(fuse_write_in);
// What a receive buffer may keep in memory while nothing is to do: what handlers copy from it (larger data is
// taken over with the buffer), so that many writes of this size do not fault its pages in again and again.
constexpr ssize_t kKeepResident = kTakeOver + kFront;
// A message that is moved to memory of its own while its handler may wait.
constexpr ssize_t kSmall = 64 << 10;
// With so many at work they probably wait for something; a megabyte of receive buffer for each would be much.
constexpr unsigned kFewHandlers = 16;

bool is_forget(uint32_t opcode) {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
}

bool is_interrupt(std::string_view message) {
  fuse_in_header header;
  if (message.size() < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  return header.opcode == FUSE_INTERRUPT;
}

// The next message that wants an answer; -1 and errno when there will be none. FORGETs end here: an inode's
// number is its node id, so there is nothing to forget.
ssize_t read_request(int device, char* message, size_t size) {
  for (;;) {
    ssize_t length = ::read(device, message, size);
    if (length >= static_cast<ssize_t>(sizeof(fuse_in_header))) {
      if (is_forget(reinterpret_cast<const fuse_in_header*>(message)->opcode)) continue;
      return length;
    }
    if (length >= 0) return length;
    switch (errno) {
      case EINTR:
      case EAGAIN:
      case ENOENT:  // the caller gave up before we took the request
        continue;
      case ENOMEM:
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        continue;
      default:
        return -1;
    }
  }
}

}  // namespace

DevTransport::DevTransport(UniqueFd device, const DevTransportOptions& options)
    : device_(std::move(device)), options_(options), eager_wait_(options.eager_wait) {}

Status DevTransport::start(RequestHandler& handler) {
  handler_ = &handler;
  std::unique_lock lock(mutex_);
  for (unsigned i = 0; i < options_.min_receivers; ++i) TRY(start_thread(lock));
  return {};
}

// A new thread counts as a receiver from here on, so that nobody starts another for the same need.
Status DevTransport::start_thread(std::unique_lock<std::mutex>&) {
  Threads ended = std::exchange(ended_, {});
  for (std::thread& thread : ended) thread.join();  // they have left run() but for a few instructions
  threads_.emplace_back();
  receivers_.fetch_add(1);
  try {
    auto self = std::prev(threads_.end());
    *self = std::thread([this, self] { run(self); });
  } catch (const std::system_error& e) {
    receivers_.fetch_sub(1);
    threads_.pop_back();
    return fail(e.code().value(), std::string("can't start a FUSE thread: ") + e.what());
  }
  return {};
}

void DevTransport::add_receiver() {
  std::unique_lock lock(mutex_);
  if (closed_) return;
  if (parked_ > wakes_) {
    ++wakes_;
    receivers_.fetch_add(1);
    wake_.notify_one();
  } else if (threads_.size() < options_.max_threads) {
    if (Status started = start_thread(lock); !started) log::warning("fuse: " + started.error().to_string());
  }
}

// Until the thread may receive. What was set aside comes first: for a thread that is done with a request, and
// for one that has come as a further receiver, as the only one there was may have set aside what it took
// meanwhile. False: it shall end.
bool DevTransport::next_turn(Buffer& buffer, bool receives) {
  for (;;) {
    if (!receives) {
      while (receivers_ > 0 && run_set_aside()) {
      }
      if (!try_receiving() && !park(buffer)) return false;
    }
    if (set_aside_count_ == 0 || receivers_ == 1) return true;
    // Another reads; and who set this aside may have seen nobody else free. The next receiver looks for more.
    if (receivers_.fetch_sub(1) - 1 < options_.min_receivers) add_receiver();
    receives = false;
  }
}

bool DevTransport::try_receiving() {
  unsigned now = receivers_.load();
  while (now < options_.max_receivers) {
    if (receivers_.compare_exchange_weak(now, now + 1)) return true;
  }
  return false;
}

// True: it is a receiver again. False: it shall end.
bool DevTransport::park(Buffer& buffer) {
  std::unique_lock lock(mutex_);
  if (closed_) return false;
  if (!set_aside_.empty()) {  // by one that saw nobody else on the way here
    receivers_.fetch_add(1);
    return true;
  }
  if (parked_ >= options_.most_parked) return false;
  buffer = {};
  ++parked_;
  const auto needed = [&] { return wakes_ > 0 || closed_; };
  bool woken = wake_.wait_for(lock, options_.park_time, needed);
  if (!woken && parked_ <= options_.parked) {
    wake_.wait(lock, needed);
    woken = true;
  }
  --parked_;
  if (closed_ || !woken) return false;
  --wakes_;
  return true;
}

// As a receive buffer has it, so that a WRITE's data can be taken over.
DevTransport::Message DevTransport::copy(std::string_view bytes) const {
  Buffer buffer = Buffer::allocate(kPage - kFront + bytes.size(), options_.budget);
  char* to = reinterpret_cast<char*>(buffer.mutable_data()) + kPage - kFront;
  std::memcpy(to, bytes.data(), bytes.size());
  return {std::move(buffer), {to, bytes.size()}};
}

void DevTransport::set_aside(std::string_view bytes) {
  Message message = copy(bytes);
  std::lock_guard lock(mutex_);
  set_aside_.push_back(std::move(message));
  set_aside_count_.store(static_cast<unsigned>(set_aside_.size()));
}

// False if there is nothing.
bool DevTransport::run_set_aside() {
  if (set_aside_count_ == 0) return false;
  Message message;
  {
    std::lock_guard lock(mutex_);
    if (set_aside_.empty()) return false;
    message = std::move(set_aside_.front());
    set_aside_.pop_front();
    set_aside_count_.store(static_cast<unsigned>(set_aside_.size()));
  }
  handling_.fetch_add(1);
  deliver(message.bytes, &message.buffer, options_.budget, *this, *handler_);
  handling_.fetch_sub(1);
  return true;
}

Buffer DevTransport::new_buffer() {
  for (;;) {
    try {
      return Buffer::allocate(kPage + options_.max_write, options_.budget);
    } catch (const std::bad_alloc&) {
      log::error("fuse: no memory for a receive buffer; trying again");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

void DevTransport::run(Threads::iterator self) {
  prepare_receiver_thread("fuse");
  Buffer buffer;
  bool more = next_turn(buffer, /*receives=*/true);
  while (more) more = receive(buffer) && next_turn(buffer, /*receives=*/false);
  buffer = {};
  std::unique_lock lock(mutex_);
  while (!set_aside_.empty()) {  // while there was no thread to spare but this one
    lock.unlock();
    run_set_aside();
    lock.lock();
  }
  ended_.splice(ended_.end(), threads_, self);
  changed_.notify_all();
}

// One request, from read() to the end of its handler. False when the connection has ended.
bool DevTransport::receive(Buffer& buffer) {
  if (buffer.empty()) buffer = new_buffer();
  char* message = reinterpret_cast<char*>(buffer.mutable_data()) + kPage - kFront;
  eager_wait_.look(device_.get());
  ssize_t length = read_request(device_.get(), message, kFront + options_.max_write);
  int error = length < 0 ? errno : 0;
  unsigned left = receivers_.fetch_sub(1) - 1;
  if (error) {
    close(error);
    return false;
  }
  if (left < options_.min_receivers) add_receiver();
  const std::string_view bytes(message, static_cast<size_t>(length));
  if (receivers_ == 0 && !is_interrupt(bytes)) {
    set_aside(bytes);
    add_receiver();  // threads may have ended meanwhile
    return true;
  }
  if (handling_.fetch_add(1) >= kFewHandlers && length <= kSmall) {
    Message small = copy(bytes);
    buffer = {};
    deliver(small.bytes, &small.buffer, options_.budget, *this, *handler_);
  } else {
    deliver(bytes, &buffer, options_.budget, *this, *handler_);
  }
  handling_.fetch_sub(1);
  if (length > kKeepResident && !buffer.empty()) {
    madvise(buffer.mutable_data(), kPage + options_.max_write, MADV_DONTNEED);
  }
  return true;
}

void DevTransport::close(int error) {
  std::lock_guard lock(mutex_);
  if (!closed_ && error != ENODEV && error != ECONNABORTED) {
    log::error("fuse: reading /dev/fuse failed: " + Error{error, {}}.to_string());
  }
  closed_ = true;
  wake_.notify_all();
  changed_.notify_all();
}

void DevTransport::wait_closed() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_.load(); });
}

void DevTransport::join() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return threads_.empty(); });
  Threads ended = std::exchange(ended_, {});
  lock.unlock();
  for (std::thread& thread : ended) thread.join();
}

unsigned DevTransport::thread_count() const {
  std::lock_guard lock(mutex_);
  return static_cast<unsigned>(threads_.size());
}

bool DevTransport::answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept {
  std::array<iovec, IOV_MAX> pieces;
  fuse_out_header header{.len = sizeof header, .error = -error, .unique = unique};
  pieces[0] = {&header, sizeof header};
  size_t count = 1;
  for (const iovec& piece : payload) {
    pieces[count++] = piece;
    header.len += static_cast<uint32_t>(piece.iov_len);
  }
  if (::writev(device_.get(), pieces.data(), static_cast<int>(count)) >= 0) return true;
  int code = errno;
  // ENOENT: interrupted or aborted, nobody waits. The others: the connection is gone.
  if (code == ENOENT || code == ENODEV || code == EPERM || code == ECONNABORTED || closed_) return false;
  log::error("fuse: the kernel refused the answer to request " + std::to_string(unique) + " (" +
             std::to_string(header.len) + " bytes): " + Error{code, {}}.to_string());
  if (error == 0) answer(unique, EIO, {});
  return false;
}

Status DevTransport::notify(int code, std::span<const iovec> payload) {
  std::array<iovec, 8> pieces;
  fuse_out_header header{.len = sizeof header, .error = code, .unique = 0};
  pieces[0] = {&header, sizeof header};
  size_t count = 1;
  for (const iovec& piece : payload.first(std::min(payload.size(), pieces.size() - 1))) {
    pieces[count++] = piece;
    header.len += static_cast<uint32_t>(piece.iov_len);
  }
  if (::writev(device_.get(), pieces.data(), static_cast<int>(count)) < 0) return fail(errno);
  return {};
}

}  // namespace cider::fuse
