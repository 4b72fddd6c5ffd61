#include "meta/ops/late_releases.h"

#include "base/log.h"

namespace cider::meta {

void LateReleases::owe(Ino ino, OpenFiles::LockOwner owner, const Error& failed, Release release) {
  log::warning("a lock of inode " + std::to_string(ino) +
               " could not be released, which is tried again: " + failed.to_string());
  std::lock_guard lock(mutex_);
  owed_.push_back({ino, owner, std::move(release)});
  count_ = owed_.size();
}

Status LateReleases::settle(Ino ino, OpenFiles::LockOwner owner, std::stop_token stop) {
  if (count_ == 0) return {};
  const auto turn = TRY(settling_.lock(std::move(stop)));
  return settle_those([&](const Owed& owed) { return owed.ino == ino && owed.owner == owner; });
}

void LateReleases::settle_all() {
  if (count_ == 0) return;
  const auto turn = settling_.lock({});
  if (Status settled = settle_those([](const Owed&) { return true; }); !settled)
    log::warning("locks could still not be released: " + settled.error().to_string());
}

Status LateReleases::settle_those(const std::function<bool(const Owed&)>& chosen) {
  std::list<Owed> mine;
  {
    std::lock_guard lock(mutex_);
    for (auto it = owed_.begin(); it != owed_.end();) {
      const auto next = std::next(it);
      if (chosen(*it)) mine.splice(mine.end(), owed_, it);
      it = next;
    }
  }
  Status done;
  while (!mine.empty() && (done = mine.front().release())) mine.pop_front();
  std::lock_guard lock(mutex_);
  owed_.splice(owed_.begin(), mine);  // before what came meanwhile
  count_ = owed_.size();
  return done;
}

}  // namespace cider::meta
