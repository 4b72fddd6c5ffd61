#include "fuse/ring_worker.h"

#include <liburing.h>

#include <cstring>
#include <string>
#include <utility>

#include "base/log.h"

namespace cider::fuse {
namespace {

// From here on data counts as large. As much may stay in memory uncounted.
constexpr size_t kLarge = 64 << 10;
// Going elsewhere takes a few microseconds and the caches.
constexpr unsigned kMisplaced = 4;
constexpr size_t kSqeSize = 128;

Status make_ring(io_uring* ring) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  const int made = ::io_uring_queue_init_params(1, ring, &params);
  if (made < 0) return fail(-made, "can't make an io_uring");
  // A child that had it mapped would keep the connection from ending with this process.
  (void)::io_uring_ring_dontfork(ring);
  return {};
}

bool has_ended(int code) {
  return code == ENOTCONN || code == ECONNABORTED || code == ENODEV;
}

}  // namespace

void RingWorker::RingDeleter::operator()(io_uring* ring) const {
  ::io_uring_queue_exit(ring);
  delete ring;
}

Status RingWorker::probe() {
  io_uring ring{};
  TRY(make_ring(&ring));
  ::io_uring_queue_exit(&ring);
  return {};
}

RingWorker::RingWorker(const RingWorkerOptions& options, RingCrew& crew)
    : options_(options), crew_(crew), memory_(options.max_write) {}

RingWorker::~RingWorker() = default;

Status RingWorker::open() {
  choose_processors(0);
  if (!memory_) return fail(ENOMEM, "no memory for requests over io_uring");
  auto ring = std::make_unique<io_uring>();
  TRY(make_ring(ring.get()));
  ring_.reset(ring.release());
  prepare(kRingRegister, 0);
  if (const int submitted = ::io_uring_submit(ring_.get()); submitted < 0) {
    return fail(-submitted, "can't offer an io_uring to the kernel");
  }
  // Else it is answered by the first request.
  io_uring_cqe* refused = nullptr;
  if (::io_uring_peek_cqe(ring_.get(), &refused) == 0 && refused->res < 0 && !has_ended(-refused->res)) {
    return fail(-refused->res, "the kernel refused an io_uring");
  }
  return {};
}

void RingWorker::prepare(uint32_t command, uint64_t commit_id) {
  io_uring_sqe* sqe = ::io_uring_get_sqe(ring_.get());
  if (!sqe) std::unreachable();  // what was prepared before has been submitted
  std::memset(static_cast<void*>(sqe), 0, kSqeSize);
  sqe->opcode = IORING_OP_URING_CMD;
  sqe->fd = options_.device;
  sqe->off = command;
  if (command == kRingRegister) {
    sqe->addr = reinterpret_cast<uint64_t>(memory_.vector().data());
    sqe->len = static_cast<uint32_t>(memory_.vector().size());
  }
  const RingCommand arguments{
      .flags = 0, .commit_id = commit_id, .queue = static_cast<uint16_t>(options_.processor), .padding = {}};
  std::memcpy(sqe->cmd, &arguments, sizeof arguments);
}

// Hands over what is prepared and waits for a request: 0. Else why there will be none.
int RingWorker::wait() {
  for (;;) {
    const int submitted = ::io_uring_submit_and_wait(ring_.get(), 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY)
      return -submitted;
    io_uring_cqe* cqe = nullptr;
    if (::io_uring_peek_cqe(ring_.get(), &cqe) != 0) continue;
    const int result = cqe->res;
    ::io_uring_cqe_seen(ring_.get(), cqe);
    return result < 0 ? -result : 0;
  }
}

Status RingWorker::run(RequestHandler& handler) {
  for (;;) {
    if (const int code = wait()) {
      if (has_ended(code)) return {};
      return fail(code, "a ring's worker can't go on");
    }
    crew_.begin();
    serve(handler);
    crew_.end();
    shrink();
  }
}

void RingWorker::serve(RequestHandler& handler) {
  const uint64_t commit_id = memory_.commit_id();
  answered_.store(0, std::memory_order_relaxed);
  const size_t received = memory_.used();
  use(received);
  const std::string_view message = memory_.message();
  fuse_in_header header;
  std::memcpy(&header, message.data(), sizeof header);
  if (crew_.is_own(header)) {
    answer(header.unique, EAGAIN, {});
  } else {
    deliver(message, nullptr, options_.budget, *this, handler);
  }
  if (answered_.load(std::memory_order_acquire) == 0) {
    crew_.wait();
    answered_.wait(0, std::memory_order_acquire);
    crew_.go_on();
  }
  choose_processors(received + memory_.used());
  prepare(kRingCommitAndFetch, commit_id);
}

bool RingWorker::answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept {
  size_t size = 0;
  for (const iovec& piece : payload) size += piece.iov_len;
  use(size);
  if (!memory_.put_answer(unique, error, payload)) {
    log::error("fuse: the answer to request " + std::to_string(unique) + " is " + std::to_string(size) +
               " bytes long, too long for a ring");
    memory_.put_answer(unique, EIO, {});
  }
  answered_.store(1, std::memory_order_release);
  answered_.notify_one();
  return true;
}

Status RingWorker::notify(int code, std::span<const iovec> payload) {
  return options_.notifications->notify(code, payload);
}

void RingWorker::choose_processors(size_t bytes) {
  const bool tie = bytes < kLarge;
  misplaced_ = tie == tied_ ? 0 : misplaced_ + 1;
  if (tie == tied_ || (ring_ && misplaced_ < kMisplaced)) return;
  cpu_set_t wanted = options_.allowed;
  if (tie && CPU_ISSET(options_.processor, &wanted)) {
    CPU_ZERO(&wanted);
    CPU_SET(options_.processor, &wanted);
  }
  // It may be off line, or no longer ours: then this runs anywhere.
  (void)::sched_setaffinity(0, sizeof wanted, &wanted);
  tied_ = tie;
  misplaced_ = 0;
}

// Payload memory that is kept, or just used, counts in the budget.
void RingWorker::use(size_t bytes) {
  if (bytes <= kLarge || charge_) return;
  keeps_memory_ = crew_.may_keep_memory();
  charge_.emplace(options_.budget, memory_.vector()[1].iov_len);
}

// Hands the answer over, and gives the payload's memory back unless it may be kept.
void RingWorker::shrink() {
  if (!charge_ || keeps_memory_) return;
  (void)::io_uring_submit(ring_.get());  // what fails now fails again in wait()
  // Requests are put there only while this thread is in the kernel.
  if (::io_uring_cq_ready(ring_.get()) > 0) return;
  memory_.drop_payload();
  charge_.reset();
}

}  // namespace cider::fuse
