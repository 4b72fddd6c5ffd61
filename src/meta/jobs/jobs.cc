#include "meta/jobs/jobs.h"

#include <algorithm>
#include <random>

#include "base/log.h"
#include "meta/ops/late_releases.h"

namespace cider::meta {
namespace {

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;
// Files of a batch share commits. Nobody waits for their deletion, so a batch is given time to fill: a commit
// for each file would double those of the unlinks.
constexpr size_t kDeletionBatch = 64;
constexpr std::chrono::milliseconds kGather{100};
constexpr size_t kFilesPerRound = 600'000;
// How long an unmount waits for deletions that are queued; the rest is found by the hourly job.
constexpr std::chrono::seconds kDrain{10};

}  // namespace

Status Jobs::start() {
  auto setting = TRY(meta_.store_->load_setting());
  setting_ = setting.value_or("");
  if (!meta_.options_.read_only) TRY(meta_.session_.begin());
  if (TRY(meta_.store_->has_quotas())) {
    log::warning(
        "the volume has quotas of directories, users or groups: this client neither enforces them nor counts "
        "what it writes against them. Only the limits of the whole volume hold here; after writing run "
        "`juicefs quota check --repair` to correct the quotas' usage");
  }
  std::lock_guard lock(mutex_);
  started_ = true;
  threads_.emplace_back([this] { run_heartbeats(); });
  if (meta_.options_.background_jobs && !meta_.options_.read_only)
    threads_.emplace_back([this] { run_shared_jobs(); });
  return {};
}

void Jobs::stop() {
  std::vector<std::thread> threads;
  {
    std::unique_lock lock(mutex_);
    if (!started_ || stopping_) return;
    draining_ = true;
    deletions_changed_.notify_all();
    deletions_changed_.wait_for(lock, kDrain,
                                [&] { return deletions_.empty() && idle_deleters_ == deleting_threads_; });
    stopping_ = true;
    wake_.notify_all();
    deletions_changed_.notify_all();
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  if (meta_.session_id() != 0) remove_session();
}

void Jobs::remove_session() {
  const uint64_t sid = meta_.session_id();
  auto sustained = meta_.store_->sustained_inodes(sid);
  if (sustained) {
    for (Ino ino : *sustained) (void)meta_.delete_sustained(sid, ino, Meta::Keeper::leaving);
  }
  Status gone = meta_.store_->run(
      [&](Transaction& tx) -> Status {
        tx.write(DeleteSession{sid});
        return {};
      },
      {});
  if (!gone) log::warning("the session stays until others clean it up: " + gone.error().to_string());
}

void Jobs::on_volume_change(std::function<void(const Volume&)> callback) {
  std::lock_guard lock(mutex_);
  on_change_ = std::move(callback);
}

bool Jobs::pause(Monotonic::duration time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return stopping_; });
}

void Jobs::run_heartbeats() {
  while (pause(meta_.options_.heartbeat)) beat();
}

void Jobs::beat() {
  const bool has_session = meta_.session_id() != 0;
  if (has_session) {
    for (const Status& done : {meta_.session_.renew(), meta_.inode_ids_.check(), meta_.slice_ids_.check()}) {
      if (!done) log::warning("heartbeat: " + done.error().to_string());
    }
  }
  meta_.late_releases_->settle_all();
  reload_volume();
  if (has_session && meta_.options_.background_jobs) {
    take_turn(Counter::last_cleanup_sessions, meta_.options_.heartbeat.count(), "clean up of dead sessions",
              [&] { return meta_.clean_stale_sessions(); });
  }
}

void Jobs::reload_volume() {
  auto setting = meta_.store_->load_setting();
  if (!setting || !*setting || **setting == setting_) return;
  auto volume = decode_volume(**setting);
  if (!volume || !check_client_version(*volume)) {
    log::error("the volume's changed setting cannot be used; the old one stays in force");
    return;
  }
  setting_ = **setting;
  std::function<void(const Volume&)> callback;
  {
    std::lock_guard lock(mutex_);
    callback = on_change_;
  }
  {
    std::lock_guard lock(meta_.volume_mutex_);
    meta_.volume_ = std::make_shared<const Volume>(*volume);
  }
  if (callback) callback(*volume);
}

void Jobs::take_turn(Counter counter, int64_t period, const char* what, const std::function<Status()>& job) {
  auto mine = meta_.store_->set_if_small(counter, meta_.clock_.now().sec, period * 9 / 10);
  if (!mine) {
    log::warning(std::string(what) + ": " + mine.error().to_string());
    return;
  }
  if (!*mine) return;
  if (Status done = job(); !done) log::warning(std::string(what) + ": " + done.error().to_string());
}

void Jobs::run_shared_jobs() {
  std::mt19937 random(std::random_device{}());
  while (pause(std::chrono::seconds(kHour * 9 / 10 + random() % (kHour / 5)))) {
    take_turn(Counter::last_cleanup_files, kHour, "deletion of file data",
              [&] { return meta_.delete_files_now(kFilesPerRound); });
    take_turn(Counter::next_cleanup_slices, kHour, "deletion of unreferenced slices",
              [&] { return meta_.clean_unreferenced_slices(); });
    take_turn(Counter::last_cleanup_trash, kHour, "clean up of the trash", [&]() -> Status {
      int64_t now = meta_.clock_.now().sec;
      int64_t days = meta_.volume()->trash_days;
      Status emptied = meta_.clean_trash(Time{now - days * kDay - 2 * kHour, 0});
      // Without a trash, too, there may be some: those of packs that gc has written anew.
      const int64_t kept = std::max(days * kDay, Meta::kDelayedGrace);
      Status freed = meta_.clean_delayed_slices(Time{now - kept, 0});
      return emptied ? freed : emptied;
    });
  }
}

void Jobs::delete_file_soon(Ino ino, uint64_t length) {
  if (meta_.options_.max_deletes == 0) return;
  std::lock_guard lock(mutex_);
  if (!started_ || stopping_) return;
  deletions_.push_back({ino, length, 0});
  bool more = deletions_.size() > kDeletionBatch * deleting_threads_;
  if (deletions_.size() == 1 || deletions_.size() % kDeletionBatch == 0) deletions_changed_.notify_one();
  if (idle_deleters_ == 0 && more && deleting_threads_ < static_cast<size_t>(meta_.options_.max_deletes)) {
    ++deleting_threads_;
    threads_.emplace_back([this] { run_deletions(); });
  }
}

void Jobs::run_deletions() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_deleters_;
    deletions_changed_.notify_all();
    deletions_changed_.wait(lock, [&] { return stopping_ || !deletions_.empty(); });
    --idle_deleters_;
    deletions_changed_.wait_for(
        lock, kGather, [&] { return stopping_ || draining_ || deletions_.size() >= kDeletionBatch; });
    if (stopping_) return;
    if (deletions_.empty()) continue;  // another thread took them meanwhile
    size_t n = std::min(kDeletionBatch, deletions_.size());
    std::vector<DeletedFile> batch(deletions_.begin(), deletions_.begin() + n);
    deletions_.erase(deletions_.begin(), deletions_.begin() + n);
    lock.unlock();
    if (Status done = meta_.delete_files_data(batch); !done) {
      log::warning("data of deleted files is left to the hourly job: " + done.error().to_string());
    }
    lock.lock();
  }
}

}  // namespace cider::meta
