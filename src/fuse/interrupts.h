// The requests in flight that may wait, and how the kernel's INTERRUPT reaches them.
//
// An INTERRUPT names a request by its unique number, may overtake it, and comes once per request for the
// first signal the caller gets, whatever the signal. Waits for locks end with EINTR on any signal. Reads,
// writes and syncs do so only when they still wait a second after it: on a local disk they never answer
// EINTR, and programs with handlers for SIGCHLD or SIGALRM don't expect it, but a stalled store must be
// escapable. Everything else (open, rename, close ...) ends only when the caller is being killed; a close cut
// short would hide a lost write. Those are watched from their INTERRUPT on, because no second comes.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "fuse/protocol.h"

namespace cider::fuse {

// Thread-safe.
class InterruptTable {
 public:
  // A request's place in the table, from its arrival to its answer.
  class Entry {
   public:
    Entry(InterruptTable& table, const fuse_in_header& header);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    std::stop_token token() const { return stop_.get_token(); }

   private:
    friend class InterruptTable;
    std::stop_source share() {
      shared_ = true;
      return stop_;
    }
    InterruptTable& table_;
    const uint64_t unique_;
    const uint64_t nodeid_;
    const uint32_t opcode_;
    const uint32_t pid_;
    std::stop_source stop_;
    bool looked_at_ = false;  // by stop_killed()
    bool shared_ = false;     // somebody else has had `stop_`, and may stop it at any time
    Entry* previous_ = nullptr;
    Entry* next_ = nullptr;
  };

  ~InterruptTable();

  void interrupt(uint64_t unique);
  // Interrupts the requests that were here at the last call, too, and whose callers are being killed. For
  // rings: the kernel sends no INTERRUPT for a signal that comes while a request is being handed over.
  void stop_killed();
  // Interrupts all requests, those to come included: the connection has ended and nobody waits for answers.
  void close();
  // Waits until the table is empty. After close().
  void drain();
  // True while a READ or WRITE of the inode is in flight, so that dropping its pages would wait for it.
  bool has_io(uint64_t nodeid);

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    Entry* first = nullptr;
    // INTERRUPTs that found no request: it was answered already or is just being taken. Numbers are never
    // used twice, so an old one does no harm.
    std::array<uint64_t, 4> early{};
    unsigned next_early = 0;
  };
  struct Watched {
    uint64_t unique;
    uint32_t pid;
    std::chrono::steady_clock::time_point until;  // ends by then, killed or not
  };

  Shard& shard_of(uint64_t unique) { return shards_[(unique >> 1) % shards_.size()]; }
  std::stop_source find(uint64_t unique);
  void apply(const std::stop_source& stop, uint64_t unique, uint32_t opcode, uint32_t pid);
  void watch(const Watched& request);
  void watch_loop(std::stop_token stop);

  std::array<Shard, 64> shards_;
  std::atomic<bool> closed_{false};

  std::mutex watch_mutex_;
  std::condition_variable_any watch_changed_;
  std::vector<Watched> watched_;
  std::jthread watcher_;  // started when first needed
};

}  // namespace cider::fuse
