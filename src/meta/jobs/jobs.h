// What a mounted client does beside its calls: its session's heartbeat, the reload of the volume's setting,
// deletion of file data, and the shared jobs, each done by one client of the volume per period.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "meta/meta.h"

namespace cider::meta {

// Thread-safe.
class Jobs {
 public:
  explicit Jobs(Meta& meta) : meta_(meta) {}
  ~Jobs() { stop(); }

  // Registers the session and starts the threads. Read-only clients have no session, only the reload.
  Status start();
  // Ends deletions under way (those still queued are left to the deleted-file job), removes the session.
  // Idempotent.
  void stop();

  void delete_file_soon(Ino ino, uint64_t length);
  void on_volume_change(std::function<void(const Volume&)> callback);

 private:
  void run_heartbeats();
  void run_shared_jobs();
  void run_deletions();
  void beat();
  void reload_volume();
  // Runs `job` if this client wins the period's turn.
  void take_turn(Counter counter, int64_t period, const char* what, const std::function<Status()>& job);
  // Waits; false when stopping.
  bool pause(Monotonic::duration time);
  void remove_session();

  Meta& meta_;
  std::mutex mutex_;
  std::condition_variable wake_;  // stopping_
  bool started_ = false;
  bool stopping_ = false;
  bool draining_ = false;
  std::condition_variable deletions_changed_;
  std::deque<DeletedFile> deletions_;
  size_t deleting_threads_ = 0;
  size_t idle_deleters_ = 0;
  std::function<void(const Volume&)> on_change_;
  std::string setting_;
  std::vector<std::thread> threads_;
};

}  // namespace cider::meta
