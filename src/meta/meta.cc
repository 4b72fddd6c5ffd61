#include "meta/meta.h"

#include "base/log.h"
#include "meta/jobs/jobs.h"
#include "meta/ops/env.h"
#include "meta/ops/late_releases.h"
#include "meta/ops/lock_waiters.h"
#include "meta/ops/lost_name.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr int64_t kInodeBatch = 1024;
constexpr int64_t kSliceBatch = 4096;

}  // namespace

Meta::Meta(std::unique_ptr<Store> store, Volume volume, MetaOptions options, const Clock& clock)
    : store_(std::move(store)),
      options_(std::move(options)),
      clock_(clock),
      volume_(std::make_shared<const Volume>(std::move(volume))),
      inode_ids_(*store_, Counter::next_inode, kInodeBatch),
      slice_ids_(*store_, Counter::next_chunk, kSliceBatch),
      session_(*store_, options_, clock_, open_files_),
      late_releases_(std::make_unique<LateReleases>()),
      lock_waiters_(std::make_unique<LockWaiters>(*this)),
      jobs_(std::make_unique<Jobs>(*this)) {}

Meta::~Meta() = default;

std::shared_ptr<const Volume> Meta::volume() const {
  std::lock_guard lock(volume_mutex_);
  return volume_;
}

Status Meta::start(DataCallbacks data) {
  data_ = std::move(data);
  return jobs_->start();
}

void Meta::stop() {
  lock_waiters_->stop();
  jobs_->stop();
}

void Meta::on_volume_change(std::function<void(const Volume&)> callback) {
  jobs_->on_volume_change(std::move(callback));
}

Status Meta::check_writable() const {
  if (options_.read_only) return fail(EROFS);
  return {};
}

Status Meta::run(const Caller& caller, FunctionRef<Status(Transaction&, OpEnv&)> operation, Trash trash,
                 ChangedDirs* dirs) {
  constexpr int kMaxRounds = 20;  // each brings one missing input; more means that something is wrong
  std::shared_ptr<const Volume> volume = this->volume();
  OpenFiles::Removal removal(open_files_);
  OpEnv env{
      caller, options_, *volume, acls_, open_files_, removal, dirs, {}, 0, 0, store_->records_per_commit(),
      {},     {}};
  for (int round = 0; round < kMaxRounds; ++round) {
    if (trash == Trash::needed) env.trash_folder = TRY(trash_folder(caller.interrupt));
    acls_.trust(store_->incarnation());
    TransactionTimer timer;
    Status done = store_->run(
        [&](Transaction& tx) -> Status {
          timer.attempt();
          env.now = clock_.now();
          env.sid = session_id();
          if (session_.is_overdue()) return fail(kSessionGone);
          if (dirs) dirs->count = 0;
          env.wanted_acl.reset();
          env.wanted_rule.reset();
          return operation(tx, env);
        },
        caller.interrupt);
    if (done) return {};
    if (done.error().code == kStaleTrash) {
      forget_trash_folder();
      continue;
    }
    TRY(provide(env, std::move(done).error()));
  }
  return fail(EIO, "an operation kept asking for more: ACL rules, trash folders or sessions");
}

Status Meta::with_new_inode(const Caller& caller, FunctionRef<Status(Ino)> make) {
  constexpr int kTries = 10;
  for (int tries = 0; tries < kTries; ++tries) {
    Status made = make(TRY(inode_ids_.next(caller.interrupt)));
    if (made || made.error().code != kInodeTaken) return made;
    TRY(inode_ids_.skip_used());
  }
  return fail(EIO, "every new inode number turns out to be in use");
}

Status Meta::evaluate(const Caller& caller, FunctionRef<Status(OpEnv&)> check) {
  std::shared_ptr<const Volume> volume = this->volume();
  OpenFiles::Removal removal(open_files_);
  OpEnv env{caller,
            options_,
            *volume,
            acls_,
            open_files_,
            removal,
            nullptr,
            clock_.now(),
            session_id(),
            0,
            store_->records_per_commit(),
            {},
            {}};
  while (true) {
    Status done = check(env);
    if (done) return {};
    TRY(provide(env, std::move(done).error()));
  }
}

Status Meta::provide(const OpEnv& env, Error error) {
  if (error.code == kSessionGone) return session_.recover(env.sid, env.caller.interrupt);
  if (error.code != kWantAcl) return fail(std::move(error));
  if (env.wanted_acl) {
    auto rule = TRY(store_->acl(*env.wanted_acl, env.caller.interrupt));
    if (!rule)
      return fail(EIO, "ACL rule " + std::to_string(*env.wanted_acl) + " is missing in the database");
    acls_.put(*env.wanted_acl, *rule);
  } else if (env.wanted_rule) {
    uint32_t id = TRY(store_->intern_acl(*env.wanted_rule, env.caller.interrupt));
    acls_.put(id, *env.wanted_rule);
  }
  return {};
}

Status Meta::release_lock(Ino ino, OpenFiles::LockOwner owner, const std::function<Status()>& release) {
  Status released = release();
  if (!released) late_releases_->owe(ino, owner, released.error(), release);
  lock_waiters_->wake(ino);
  return released;
}

void Meta::settle(const Aftermath& after) {
  if (after.delete_data) {
    file_deleted(after.ino, after.length);
  } else if (after.kept_open && !open_files_.set_unlinked(after.ino)) {
    // The last handle was closed while the commit was under way.
    if (auto gone = delete_sustained(session_id(), after.ino, Keeper::closed); !gone) {
      log::warning("inode " + std::to_string(after.ino) +
                   " stays until the session ends: " + gone.error().to_string());
    }
  }
}

void Meta::file_deleted(Ino ino, uint64_t length) {
  jobs_->delete_file_soon(ino, length);
}

}  // namespace cider::meta
