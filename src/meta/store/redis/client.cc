#include "meta/store/redis/client.h"

#include <algorithm>

#include "base/interruptible_sleep.h"
#include "base/log.h"
#include "meta/store/redis/dial.h"
#include "meta/store/redis/guides.h"

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Errors that another try may not have.
bool passes(const Error& error) {
  switch (error.code) {
    case EACCES:
    case EINVAL:
    case ENOSPC:
    case EPROTO:
      return false;
    default:
      return true;
  }
}

// The first error that asks to come again.
const Reply* busy_reply(const std::vector<Reply>& replies) {
  for (const Reply& reply : replies) {
    if (reply.is_error() && error_of(reply).code == EAGAIN) return &reply;
  }
  return nullptr;
}

// The server is no master (any more), or not of this volume: another one may be now.
bool leads_elsewhere(const Reply& reply) {
  static constexpr std::string_view kWords[] = {"READONLY", "MASTERDOWN", "MOVED", "CLUSTERDOWN"};
  return std::ranges::find(kWords, error_word(reply)) != std::end(kWords);
}

}  // namespace

Result<ServerFinder*> Client::finder() {
  std::lock_guard lock(finder_mutex_);
  if (!finder_) finder_ = TRY(finder_of(url_, to_replica_));
  return finder_.get();
}

Error unclear(const Error& error) {
  return {EIO, "it may have been done, but: " + error.to_string()};
}

Result<std::shared_ptr<Connection>> Client::connect_apart(const std::stop_token& stop) {
  ServerFinder& finder = *TRY(this->finder());
  auto connection = std::make_shared<Connection>(TRY(dial(url_, TRY(finder.find(stop)))), url_.read_timeout);
  Commands greeting = login(url_);
  if (url_.db != 0 && !finder.keyspace().is_in_cluster()) greeting.add("SELECT", url_.db);
  greeting.add("PING");
  for (const Reply& reply : TRY(connection->call(greeting, stop))) {
    if (reply.is_error()) return fail(error_of(reply));
  }
  TRY(finder.check(*connection));
  return connection;
}

Result<std::shared_ptr<Connection>> Client::connect(const std::stop_token& stop) {
  auto connection = TRY(connect_apart(stop));
  if (greet_) TRY(greet_(*connection));
  return connection;
}

// Only one thread dials; the others wait for what comes of it rather than storm a server that comes back.
Result<std::shared_ptr<Connection>> Client::acquire(Slot& slot, const std::stop_token& stop) {
  auto present = [&]() -> std::shared_ptr<Connection> {
    return slot.connection && !slot.connection->broken() ? slot.connection : nullptr;
  };
  uint64_t dials;
  {
    std::lock_guard lock(slot.mutex);
    if (auto connection = present()) return connection;
    dials = slot.dials;
  }
  auto dialing = TRY(slot.dialing.lock(stop));
  {
    std::lock_guard lock(slot.mutex);
    if (auto connection = present()) return connection;
    if (slot.dials != dials) return fail(slot.failure);
  }
  auto connection = connect(stop);
  std::lock_guard lock(slot.mutex);
  slot.dials++;
  slot.failure = connection ? Error{ECONNRESET, "the new connection broke"} : connection.error();
  if (!connection) return connection;
  if (slot.connection) reconnects_++;
  slot.connection = *connection;
  return connection;
}

// The first that has room, else the one with the least to do.
Result<std::shared_ptr<Connection>> Client::acquire(const std::stop_token& stop) {
  Slot* best = &slots_[0];
  size_t least = SIZE_MAX;
  for (Slot& slot : slots_) {
    std::shared_ptr<Connection> connection;
    {
      std::lock_guard lock(slot.mutex);
      connection = slot.connection;
    }
    size_t load = connection ? connection->load() : 0;
    if (load >= least) continue;
    least = load;
    best = &slot;
    if (load < kTogether) break;
  }
  return acquire(*best, stop);
}

Status Client::open() {
  keyspace_ = TRY(finder())->keyspace();
  TRY(acquire(slots_[0], {}));
  return {};
}

Result<std::vector<Reply>> Client::ask_all(const Commands& commands, std::stop_token stop) {
  std::vector<Reply> replies = TRY(call(commands, std::move(stop)));
  for (const Reply& reply : replies) {
    if (reply.is_error()) return fail(error_of(reply));
  }
  return replies;
}

Result<std::vector<Reply>> Client::call(const Commands& commands, std::stop_token stop, bool* maybe_ran) {
  const auto end = steady_clock::now() + patience_;
  milliseconds pause = url_.min_retry_backoff;
  Error last;
  for (bool first = true;; first = false) {
    auto connection = acquire(stop);
    if (connection) {
      auto replies = (*connection)->call(commands, stop);
      if (replies) {
        const Reply* busy = busy_reply(*replies);
        if (busy == nullptr) return replies;
        last = error_of(*busy);
        if (leads_elsewhere(*busy)) {
          TRY(finder())->redirect(*busy);
          (*connection)->close();
        }
      } else {
        last = replies.error();
        if (maybe_ran) *maybe_ran = true;
      }
    } else {
      last = connection.error();
    }
    if (stop.stop_requested()) return fail(EINTR);
    if (!passes(last)) {
      return fail(maybe_ran && *maybe_ran ? unclear(last) : last);
    }
    if (steady_clock::now() > end)
      return fail(ETIMEDOUT, "gave up on " + url_.describe() + ": " + last.to_string());
    if (first) log::warning(url_.describe() + ": " + last.to_string() + "; trying again");
    if (!interruptible_sleep(pause, stop)) return fail(EINTR);
    pause = std::min(pause * 2, url_.max_retry_backoff);
  }
}

}  // namespace cider::meta::redis
