#include "meta/store/redis/push_channel.h"

#include <algorithm>

#include "base/interruptible_sleep.h"
#include "base/log.h"
#include "meta/store/redis/server_info.h"

namespace cider::meta::redis {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";
constexpr Millis kPingEvery{1'000};

}  // namespace

PushChannel::~PushChannel() {
  thread_.request_stop();
  std::lock_guard lock(mutex_);
  if (connection_) connection_->close();
}

Status PushChannel::open() {
  TRY(connect({}));
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return {};
}

void PushChannel::commands_go_to(const std::string& run_id) {
  std::lock_guard lock(mutex_);
  if (live_ && run_id == commands_to_) return listener_.all_changed();
  commands_to_ = run_id;
  live_ = false;
  listener_.lost();
}

Status PushChannel::connect(const std::stop_token& stop) {
  auto connection = TRY(client_.connect_apart(stop));
  Reply info = TRY(connection->call(Commands().add("INFO", "server"), stop)).front();
  TRY(subscribe(*connection, stop));
  {
    std::lock_guard lock(mutex_);
    if (stop.stop_requested()) return fail(EINTR);
    connection_ = std::move(connection);
    told_by_ = parse_server_info(info.text()).run_id;
  }
  return ping();
}

Status PushChannel::subscribe(Connection& connection, const std::stop_token& stop) {
  Reply id = TRY(connection.call(Commands().add("CLIENT", "ID"), stop)).front();
  Commands commands;
  commands.add("CLIENT", "TRACKING", "ON", "REDIRECT", id.integer(), "BCAST", "PREFIX",
               client_.keyspace().prefix() + "i", "PREFIX", client_.keyspace().prefix() + "d");
  commands.add("SUBSCRIBE", kChannel);
  for (const Reply& reply : TRY(connection.call(commands, stop))) {
    if (!reply.is_error()) continue;
    const Error error = error_of(reply);
    if (error.code == EACCES || error.code == EAGAIN) return fail(error);
    return fail(EINVAL,
                client_.url().describe() +
                    ": client-cache needs CLIENT TRACKING, which came with Redis 6.0; without it, leave "
                    "the option out of the URL (" +
                    error.message + ")");
  }
  return {};
}

Status PushChannel::ping() {
  const auto sent = Monotonic::now();
  TRY(connection_->post(Commands().add("PING")));
  if (!TRY(take_messages(sent + client_.url().read_timeout)))
    return fail(ETIMEDOUT, "Redis did not answer in time");
  return heard(sent);
}

Result<bool> PushChannel::take_messages(Monotonic::time_point end) {
  for (auto now = Monotonic::now(); now < end; now = Monotonic::now()) {
    const auto left = std::chrono::ceil<Millis>(end - now);
    const std::optional<Reply> message = TRY(connection_->await(left));
    if (!message) continue;
    if (message->is_error()) return fail(error_of(*message));
    if ((*message)[0].text() == "pong") return true;
    take(*message);
  }
  return false;
}

// "message", the channel, and the keys; nil where the whole database was emptied.
void PushChannel::take(const Reply& message) {
  if (message[0].text() != "message" || message[1].text() != kChannel) return;
  const Reply keys = message[2];
  if (keys.is_nil()) return listener_.all_changed();
  for (size_t i = 0; i < keys.size(); ++i) listener_.changed(client_.keyspace().name(keys[i].text()));
}

// Everything that was known before the server began to tell what changes is forgotten first.
Status PushChannel::heard(Monotonic::time_point sent) {
  std::lock_guard lock(mutex_);
  if (told_by_ != commands_to_) return fail(EAGAIN, "changes are told by another server than commands go to");
  if (!live_) listener_.all_changed();
  live_ = true;
  listener_.told_until(sent);
  return {};
}

void PushChannel::lose() {
  std::lock_guard lock(mutex_);
  live_ = false;
  listener_.lost();
}

Status PushChannel::listen() {
  while (true) {
    const auto next_ping = Monotonic::now() + kPingEvery;
    TRY(take_messages(next_ping));
    TRY(ping());
  }
}

void PushChannel::run(const std::stop_token& stop) {
  const RedisUrl& url = client_.url();
  while (!stop.stop_requested()) {
    const Status broke = listen();
    lose();
    if (stop.stop_requested()) return;
    log::warning(url.describe() + " does not tell what changes: " + broke.error().to_string() +
                 "; nothing is answered from the client cache until it does");
    for (Millis pause = url.min_retry_backoff; interruptible_sleep(pause, stop);) {
      if (connect(stop)) {
        log::info(url.describe() + " tells again what changes");
        break;
      }
      pause = std::min(pause * 2, url.max_retry_backoff);
    }
  }
}

}  // namespace cider::meta::redis
