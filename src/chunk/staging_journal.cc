#include "chunk/staging_journal.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "chunk/staged_files.h"
#include "chunk/staging_replay.h"

namespace cider::chunk {
namespace {

constexpr size_t kMostUnwritten = 16 << 20;  // bytes in memory
constexpr size_t kMostDone = 4096;           // blocks that one record names
constexpr Millis kQuiet{100};                // after which blocks are noted as done that no group came after

}  // namespace

StagingJournal::StagingJournal(CacheDir& dir, FolderSync& folders, MemoryBudget& budget,
                               const JournalOptions& options, Written written)
    : dir_(dir),
      folders_(folders),
      budget_(budget),
      options_(options),
      written_(std::move(written)),
      path_(dir.path() + ".staging.journal"),
      file_(path_, options) {}

void StagingJournal::replay() {
  Result<std::vector<BlockName>> left = replay_journal(dir_, folders_, path_, options_.segment);
  keep_ = !left;
  if (left) {
    Lock lock(mutex_);
    left_ = std::move(*left);
  } else {
    log::error("journal of staged blocks " + path_ + ": " + left.error().to_string() +
               "; it is left for the next mount");
  }
}

void StagingJournal::start(bool accept) {
  if (keep_) return;
  {
    Lock lock(mutex_);
    ended_ = false;
  }
  const bool make_one = accept && options_.segments > 0 && dir_.form() == BlockForm::plain;
  thread_ = std::jthread([this, make_one](const std::stop_token& stop) { run(stop, make_one); });
}

void StagingJournal::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

// ---- In the background

void StagingJournal::run(const std::stop_token& stop, bool accept) {
  Status status = remove(left_);
  if (status) {
    Lock lock(mutex_);
    left_.clear();
    changed_.notify_all();
  }
  if (status && accept) {
    status = make(stop);
    if (status) {
      serve(stop);
      // What a failed sync has left of a file may look whole until it is read from the disk.
      status = keep_ ? Status(fail(EIO, "it is left for the next mount")) : remove(file_.blocks());
    }
  }
  if (!status && status.error().code != EINTR)
    log::warning("journal of staged blocks " + path_ + ": " + status.error().to_string());
  Lock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

Status StagingJournal::make(const std::stop_token& stop) {
  constexpr uint64_t kPart = 16;  // of the space that is free, at most
  dir_.refresh_space();
  if (dir_.is_full() || dir_.space().free / kPart < options_.segment * options_.segments)
    return fail(ENOSPC, "there is too little free space for it; staging is slower");
  TRY(file_.make(stop));
  return folders_.sync(dir_.path(), dir_.path());
}

// Until the end, or until the journal has failed. Nobody writes to it any more then.
void StagingJournal::serve(const std::stop_token& stop) {
  Lock lock(mutex_);
  usable_ = true;
  while (usable_ && !stop.stop_requested()) {
    const auto urgent = [&] { return !usable_ || file_.is_short_of_room(); };
    changed_.wait(lock, stop, [&] { return urgent() || !done_.empty(); });
    changed_.wait_for(lock, stop, kQuiet, urgent);
    lock.unlock();
    clean();
    write_done();
    lock.lock();
  }
  usable_ = false;
  changed_.wait(lock, [&] { return !writing_; });
  lock.unlock();
  writers_.stop();
}

// Removes the journal, when all blocks are safe without it.
Status StagingJournal::remove(std::span<const BlockName> blocks) {
  for (const BlockName& block : blocks) TRY(settle(block));
  TRY(sync_staged(dir_, folders_, blocks));
  ::unlink((path_ + ".tmp").c_str());
  if (::unlink(path_.c_str()) != 0) return errno == ENOENT ? Status{} : fail_errno("unlink");
  return folders_.sync(dir_.path(), dir_.path());
}

void StagingJournal::clean() {
  while (auto full = file_.take_full()) {
    const auto work = [&]() -> Status {
      for (const BlockName& block : full->blocks) TRY(settle(block));
      return sync_staged(dir_, folders_, full->blocks);
    };
    if (Status done = work(); !done) {
      log::warning("staged blocks in " + dir_.path() + ": " + done.error().to_string());
      keep_ = true;
      Lock lock(mutex_);
      usable_ = false;
      return;
    }
    file_.give_back(*full);
  }
}

void StagingJournal::write_done() {
  Lock lock(mutex_);
  if (done_.empty() || writing_ || !usable_) return;
  Group nobody;
  write(nobody, lock);
}

// ---- Files

// The block's entry while nobody writes its file; the end if it has one, or was forgotten.
StagingJournal::Blocks::iterator StagingJournal::wait_for_block(const BlockName& block, Lock& lock) {
  auto found = unwritten_.find(block);
  while (found != unwritten_.end() && found->second.busy) {
    idle_.wait(lock);
    found = unwritten_.find(block);
  }
  return found;
}

Status StagingJournal::settle(const BlockName& block) {
  Lock lock(mutex_);
  const auto entry = wait_for_block(block, lock);
  if (entry == unwritten_.end()) return {};
  entry->second.busy = true;  // nobody removes it
  lock.unlock();
  const BlockPath path = dir_.staging(block, BlockForm::plain);
  const Result<UniqueFd> file = dir_.store_file(path.c_str(), entry->second.content, {});
  if (file) written_(block);
  lock.lock();
  entry->second.busy = false;
  idle_.notify_all();
  if (!file) return fail(file.error());
  (void)take(entry);
  return {};
}

Buffer StagingJournal::take(Blocks::iterator entry) {
  if (entry == unwritten_.end()) return {};
  const Buffer content = std::move(entry->second.content);
  const uint32_t bytes = entry->first.bytes;
  unwritten_bytes_ -= content.size();
  unwritten_.erase(entry);
  return content.slice(0, bytes);
}

Buffer StagingJournal::unwritten(const BlockName& block) const {
  std::lock_guard lock(mutex_);
  const auto found = unwritten_.find(block);
  return found == unwritten_.end() ? Buffer() : found->second.content.slice(0, block.bytes);
}

Buffer StagingJournal::forget(const BlockName& block) {
  Lock lock(mutex_);
  Buffer data = take(wait_for_block(block, lock));
  if (!usable_) return data;
  if (done_.empty()) changed_.notify_all();
  done_.insert(block);
  return data;
}

bool StagingJournal::may_mention(const BlockName& block) {
  return std::ranges::find(left_, block) != left_.end() || file_.mentions(block);
}

Status StagingJournal::supersede(const BlockName& block) {
  constexpr Millis kRoom{20};
  if (block.bytes > options_.largest) return {};
  Lock lock(mutex_);
  for (;;) {
    // While one is made, or given up, that takes care of it.
    changed_.wait(lock, [&] { return usable_ || ended_ || !may_mention(block); });
    if (!may_mention(block)) return {};
    if (!usable_) break;
    Waiting self{block, JournalRecord::of_done({&block, 1}, &budget_), /*holds_block=*/false};
    if (join_group(self, lock)) return {};
    changed_.wait_for(lock, kRoom, [&] { return !usable_; });
  }
  if (::access(path_.c_str(), F_OK) != 0) return {};
  return fail(EIO, "the journal " + path_ + " still has an earlier block of this name");
}

// ---- Writing

bool StagingJournal::append(const BlockName& block, const BufferChain& data) {
  {
    Lock lock(mutex_);
    if (!usable_ || block.bytes > options_.largest || unwritten_bytes_ >= kMostUnwritten) return false;
  }
  Waiting self{block, JournalRecord::of_block(block, data, checksum_trailer(data), &budget_)};
  const bool safe = place_block(self);
  if (safe) writers_.submit([this, block] { (void)settle(block); });
  return safe;
}

bool StagingJournal::place_block(Waiting& self) {
  Lock lock(mutex_);
  if (!usable_ || unwritten_.contains(self.block)) return false;
  // Before it is in the journal, so that whoever wants to use its segment again writes the file first.
  const Buffer content = self.record.content();
  unwritten_[self.block].content = content;
  unwritten_bytes_ += content.size();
  done_.erase(self.block);  // staged once more
  if (join_group(self, lock)) return true;
  (void)take(wait_for_block(self.block, lock));
  return false;
}

bool StagingJournal::join_group(Waiting& self, Lock& lock) {
  if (!next_) next_ = std::make_shared<Group>();
  const std::shared_ptr<Group> mine = next_;
  mine->waiting.push_back(&self);
  changed_.wait(lock, [&] { return mine->done || !writing_; });
  if (!mine->done) {
    // Nobody is at it: this thread does it for all who have come until now.
    next_.reset();
    write(*mine, lock);
  }
  return mine->safe && self.placed;
}

void StagingJournal::write(Group& group, Lock& lock) {
  const std::vector<BlockName> done = take_done();
  const bool usable = usable_;
  writing_ = true;
  lock.unlock();
  const Status written = usable ? write_records(group, done) : Status(fail(EIO));
  if (usable && !written)
    log::warning("journal of staged blocks " + path_ + ": " + written.error().to_string() +
                 "; it is not used any more");
  lock.lock();
  writing_ = false;
  if (!written) usable_ = false;
  group.safe = written.has_value();
  group.done = true;
  changed_.notify_all();
}

std::vector<BlockName> StagingJournal::take_done() {
  const auto end = std::next(done_.begin(), static_cast<ptrdiff_t>(std::min(done_.size(), kMostDone)));
  std::vector<BlockName> taken(done_.begin(), end);
  done_.erase(done_.begin(), end);
  return taken;
}

Status StagingJournal::write_records(Group& group, std::span<const BlockName> done) {
  std::optional<JournalRecord> names;
  if (!done.empty()) {
    names = JournalRecord::of_done(done, &budget_);
    TRY(file_.add(*names, nullptr));
  }
  bool any = false;
  for (Waiting* one : group.waiting) {
    one->placed = TRY(file_.add(one->record, one->holds_block ? &one->block : nullptr));
    any |= one->placed;
  }
  return file_.flush(any);
}

}  // namespace cider::chunk
