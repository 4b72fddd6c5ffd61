// Clients that race for a few names and what is in directories of these names; an order must explain what
// they were told.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "meta/testing/fault_proxy.h"
#include "meta/testing/linearizability.h"
#include "meta/testing/random_ops.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::testing {
namespace {

using Fault = FaultProxy::Fault;

constexpr size_t kDirs = 2;
constexpr size_t kPlaces = kDirs * kNamesPerDir;
constexpr size_t kRoundOperations = 10;  // of each thread; the search takes long where many overlap
constexpr size_t kKnown = 4;

// What the clients of a round share: two directories of their own, and which inodes they have seen.
struct Round {
  std::array<Ino, kDirs> dirs{};
  std::array<std::atomic<Ino>, kKnown> known{};
  std::array<std::atomic<Ino>, kKnown> known_dirs{};
  bool faults = false;
};

// One thread of a client. Records what it does.
class NameThread {
 public:
  // `opens`: no other thread of the client may unlink what this one has open, since it would live on.
  NameThread(size_t client, Meta& meta, FaultProxy* proxy, bool opens, std::atomic<uint64_t>& moments,
             uint64_t seed)
      : client_(client), meta_(meta), proxy_(proxy), opens_(opens), moments_(moments), random_(seed) {}

  void play(Round& round) {
    round_ = &round;
    for (size_t i = 0; i < kRoundOperations; ++i) {
      if (below(2) == 0) std::this_thread::yield();
      perform(any_op(), round.faults ? disturbed() : Caller{});
    }
  }
  // What is there when all is quiet.
  void look_at_everything() {
    for (size_t place = 0; place < kPlaces; ++place)
      perform({.call = NameCall::lookup, .place = place}, Caller{});
    for (const std::atomic<Ino>& dir : round_->known_dirs) {
      if (dir != 0) perform({.call = NameCall::lookup, .inside = dir}, Caller{});
    }
  }
  NameHistory take_history() { return std::exchange(history_, {}); }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }

  NameOp any_op() {
    static constexpr NameCall kCalls[] = {
        NameCall::create, NameCall::create, NameCall::open_or_create, NameCall::mkdir,
        NameCall::mkdir,  NameCall::link,   NameCall::unlink,         NameCall::unlink,
        NameCall::rmdir,  NameCall::rmdir,  NameCall::rename,         NameCall::rename,
        NameCall::rename, NameCall::lookup, NameCall::lookup,         NameCall::getattr};
    static constexpr uint32_t kFlags[] = {0, 0, kRenameNoReplace, kRenameExchange, kRenameWhiteout};
    NameOp op;
    op.call = kCalls[below(std::size(kCalls))];
    if (op.call == NameCall::open_or_create && !opens_) op.call = NameCall::create;
    op.place = below(kPlaces);
    if (op.call == NameCall::rename) {
      op.target = below(kPlaces);
      op.flags = kFlags[below(std::size(kFlags))];
    }
    if (op.call == NameCall::link || op.call == NameCall::getattr) op.ino = any_of(round_->known);
    const bool may_be_inside =
        op.call == NameCall::create || op.call == NameCall::unlink || op.call == NameCall::lookup;
    if (may_be_inside && below(2) == 0) op.inside = any_of(round_->known_dirs);
    return op;
  }
  Ino any_of(const std::array<std::atomic<Ino>, kKnown>& known) {
    Ino ino = known[below(kKnown)];
    return ino != 0 ? ino : 999'999;  // nothing there
  }

  // Something befalls this client's next commit: of this call, or of a later one. An interrupted call may not
  // learn what became of it.
  Caller disturbed() {
    std::stop_source interrupt;
    switch (below(10)) {
      case 0:
        proxy_->strike(Fault::lose_reply);
        break;
      case 1:
        proxy_->strike(Fault::hold_request);
        break;
      case 2:
        proxy_->strike(below(2) ? Fault::lose_reply : Fault::hold_request,
                       [interrupt]() mutable { interrupt.request_stop(); });
        break;
      case 3:
        proxy_->deliver_held();
        break;
      default:
        break;
    }
    Caller caller;
    caller.interrupt = interrupt.get_token();
    return caller;
  }

  void perform(NameOp op, const Caller& caller) {
    op.client = client_;
    op.invoked = ++moments_;
    op.answer = ask(op, caller);
    op.returned = ++moments_;
    if (round_->faults && says_nothing(op.answer.error)) {
      op.returned = NameOp::kNever;
      if (op.call == NameCall::lookup || op.call == NameCall::getattr) return;
    }
    if (op.answer.ino != 0) round_->known[below(kKnown)] = op.answer.ino;
    if (op.answer.ino != 0 && op.call == NameCall::mkdir) round_->known_dirs[below(kKnown)] = op.answer.ino;
    history_.push_back(op);
  }
  static bool says_nothing(int error) { return error == EINTR || error == EIO || error == ETIMEDOUT; }

  NameAnswer ask(const NameOp& op, const Caller& caller) {
    const Ino dir = op.inside != 0 ? op.inside : dir_of(op.place);
    const std::string name = op.inside != 0 ? "x" : name_of(op.place);
    switch (op.call) {
      case NameCall::create:
        return answer(meta_.mknod(caller, dir, name, NewNode{}),
                      [](const Node& made) { return NameAnswer{.ino = made.ino}; });
      case NameCall::mkdir:
        return answer(meta_.mknod(caller, dir, name, NewNode{FileType::directory, 0755, 0, {}}),
                      [](const Node& made) { return NameAnswer{.ino = made.ino}; });
      case NameCall::open_or_create: {
        bool created = false;
        auto opened = meta_.create(caller, dir, name, 0644, false, &created);
        if (opened) meta_.close(opened->ino);
        return answer(opened,
                      [&](const Node& made) { return NameAnswer{.ino = made.ino, .created = created}; });
      }
      case NameCall::link:
        return answer(meta_.link(caller, op.ino, dir, name), seen);
      case NameCall::unlink:
        return answer(meta_.unlink(caller, dir, name), [](Ino ino) { return NameAnswer{.ino = ino}; });
      case NameCall::rmdir:
        return answer(meta_.rmdir(caller, dir, name), [](Ino ino) { return NameAnswer{.ino = ino}; });
      case NameCall::rename:
        return answer(meta_.rename(caller, dir, name, dir_of(op.target), name_of(op.target), op.flags),
                      [](const Renamed& renamed) {
                        NameAnswer told = seen(renamed.moved);
                        told.replaced = renamed.replaced;
                        return told;
                      });
      case NameCall::lookup:
        return answer(meta_.lookup(caller, dir, name), seen);
      case NameCall::getattr:
        return answer(meta_.getattr(op.ino, caller.interrupt),
                      [&](const Attr& attr) { return seen(Node{op.ino, attr}); });
    }
    return {.error = EINVAL};
  }

  Ino dir_of(size_t place) const { return round_->dirs.at(place / kNamesPerDir); }
  static std::string name_of(size_t place) { return place_name(place).substr(2); }
  static NameAnswer seen(const Node& node) { return {.ino = node.ino, .nlink = node.attr.nlink}; }
  template <class T, class Tell>
  static NameAnswer answer(const Result<T>& result, Tell tell) {
    return result ? tell(*result) : NameAnswer{.error = result.error().code};
  }

  const size_t client_;
  Meta& meta_;
  FaultProxy* const proxy_;  // none: nothing befalls it
  const bool opens_;
  std::atomic<uint64_t>& moments_;
  std::mt19937_64 random_;
  Round* round_ = nullptr;
  NameHistory history_;
};

class LinearRun {
 public:
  // The first client has two threads, each other one.
  LinearRun(const RandomSetup& setup, size_t threads)
      : setup_(setup),
        volume_(
            {.engine = setup.engine, .clients = 0, .trash_days = setup.trash ? 1 : 0, .seed = setup.seed}) {
    const size_t clients = std::max<size_t>(threads, 2) - 1;
    for (size_t i = 0; i < clients; ++i) add_client();
    for (size_t i = 0; i < threads; ++i) {
      const size_t client = i % clients;
      FaultProxy* proxy = proxies_.empty() ? nullptr : proxies_[client].get();
      threads_.emplace_back(client, volume_.client(client), proxy, client != 0, moments_,
                            setup.seed * 1000 + i);
    }
  }
  ~LinearRun() { volume_.stop(); }

  std::optional<std::string> run() {
    for (size_t done = 0; done < setup_.operations; done += kRoundOperations) {
      Round round;
      round.faults = !proxies_.empty() && number_ % 2 == 1;
      if (auto failure = play(round)) return failure;
      ++number_;
    }
    volume_.stop();
    for (const std::string& problem : volume_.problems()) return where() + problem;
    return std::nullopt;
  }

 private:
  std::string where() const {
    return "seed " + std::to_string(setup_.seed) + " on " + engine_name(setup_.engine) + ", round " +
           std::to_string(number_) + ": ";
  }

  void add_client() {
    const MetaOptions options = VolumeSetup{}.options;
    if (setup_.engine != Engine::redis) {
      volume_.add_client(options);
      return;
    }
    proxies_.push_back(std::make_unique<FaultProxy>(RedisServer::shared().socket()));
    volume_.add_client(options, proxies_.back()->url(0));
  }

  std::optional<std::string> play(Round& round) {
    for (size_t i = 0; i < kDirs; ++i) {
      std::string name = std::to_string(number_) + "-" + std::to_string(i);
      auto made =
          volume_.client(0).mknod(Caller{}, kRootIno, name, NewNode{FileType::directory, 0755, 0, {}});
      if (!made) return where() + "mkdir: " + made.error().to_string();
      round.dirs.at(i) = made->ino;
    }
    {
      std::atomic<size_t> ready = 0;  // nobody sleeps, so that all begin at the same time
      std::vector<std::jthread> threads;
      for (NameThread& thread : threads_) {
        threads.emplace_back([&] {
          for (++ready; ready < threads_.size();) std::this_thread::yield();
          thread.play(round);
        });
      }
    }
    for (auto& proxy : proxies_) proxy->strike(Fault::none);
    threads_.front().look_at_everything();
    for (auto& proxy : proxies_) proxy->deliver_held();
    for (NameThread& thread : threads_) thread.look_at_everything();

    NameHistory history;
    for (NameThread& thread : threads_) {
      NameHistory part = thread.take_history();
      history.insert(history.end(), part.begin(), part.end());
    }
    if (setup_.verbose) std::printf("%s%s\n", where().c_str(), to_string(history).c_str());
    auto why = why_not_linearizable(std::move(history), setup_.trash);
    return why ? std::optional(where() + *why) : std::nullopt;
  }

  const RandomSetup setup_;
  std::vector<std::unique_ptr<FaultProxy>> proxies_;  // one for each client of a Redis server
  TestVolume volume_;
  std::atomic<uint64_t> moments_{0};
  std::vector<NameThread> threads_;
  size_t number_ = 0;
};

}  // namespace

std::optional<std::string> check_order(const RandomSetup& setup, size_t threads) {
  return LinearRun(setup, threads).run();
}

}  // namespace cider::meta::testing
