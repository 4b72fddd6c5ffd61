#include "meta/store/pending_usage.h"

#include <utility>

#include "base/log.h"

namespace cider::meta {
namespace {

void add_to(DirStat* sum, const DirStat& delta) {
  sum->length += delta.length;
  sum->space += delta.space;
  sum->inodes += delta.inodes;
}

void add_dir(std::map<Ino, DirStat>* sums, Ino ino, const DirStat& delta) {
  DirStat& sum = (*sums)[ino];
  add_to(&sum, delta);
  if (sum == DirStat{}) sums->erase(ino);
}

}  // namespace

PendingUsage::PendingUsage(Write write, std::chrono::milliseconds interval)
    : write_(std::move(write)), interval_(interval) {}

PendingUsage::~PendingUsage() {
  stop();
}

void PendingUsage::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void PendingUsage::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void PendingUsage::run(const std::stop_token& stop) {
  bool failed = false;
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, interval_, [] { return false; });
    }
    if (stop.stop_requested()) return;
    Status flushed = flush(stop);
    // Said once for a row of failures.
    if (!flushed && !failed && !stop.stop_requested())
      log::warning("the volume's usage could not be written: " + flushed.error().to_string());
    failed = !flushed;
  }
}

void PendingUsage::add(const WriteItem& item) {
  std::lock_guard lock(mutex_);
  if (const auto* usage = std::get_if<AddUsage>(&item)) {
    sums_.space += usage->space;
    sums_.inodes += usage->inodes;
  } else if (const auto* dir = std::get_if<AddDirStat>(&item)) {
    add_dir(&sums_.dirs, dir->ino, dir->delta);
  } else if (const auto* gone = std::get_if<DeleteDirStat>(&item)) {
    sums_.dirs.erase(gone->ino);
  }
}

void PendingUsage::counted(const UsageRead& usage) {
  std::lock_guard lock(mutex_);
  sums_.space -= usage.space;
  sums_.inodes -= usage.inodes;
}

Status PendingUsage::flush(std::stop_token stop) {
  std::lock_guard flushing(flushing_);
  UsageSums sums;
  {
    std::lock_guard lock(mutex_);
    if (sums_.empty()) return {};
    sums = sums_;
    under_way_ = std::exchange(sums_.dirs, {});
  }
  Status written = write_(sums, std::move(stop));
  std::lock_guard lock(mutex_);
  if (!written) {
    for (const auto& [ino, delta] : under_way_) add_dir(&sums_.dirs, ino, delta);
  }
  under_way_.clear();
  return written;
}

void PendingUsage::complete(ReadItem* item) const {
  if (auto* usage = std::get_if<UsageRead>(item)) {
    const UsageRead more = pending();
    usage->space += more.space;
    usage->inodes += more.inodes;
  } else if (auto* dir = std::get_if<DirStatRead>(item); dir && dir->stat) {
    std::lock_guard lock(mutex_);
    for (const auto* sums : {&sums_.dirs, &under_way_}) {
      auto found = sums->find(dir->ino);
      if (found != sums->end()) add_to(&*dir->stat, found->second);
    }
  }
}

UsageRead PendingUsage::pending() const {
  std::lock_guard lock(mutex_);
  return {sums_.space, sums_.inodes};
}

}  // namespace cider::meta
