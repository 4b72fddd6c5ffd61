// The uploads of staged blocks.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "chunk/staging_item.h"

namespace cider::chunk {
namespace {

constexpr Millis kFirstPause{200};
constexpr Millis kLongestPause{30'000};
constexpr Seconds kRetryLock{5};

}  // namespace

bool Staging::may_upload_now(const Item& item) const {
  if (Monotonic::now() < item.not_before) return false;
  if (draining_ > 0 || (*dirs_)[item.place].is_full()) return true;
  const Time now = clock_.now();
  return options_.hours.contains(now) &&
         to_nanos(now) - to_nanos(item.added) >= std::chrono::nanoseconds(options_.delay).count();
}

// The oldest that may go now. Only failures make one that is younger go first.
Staging::ItemPtr Staging::next_due() {
  for (const auto& [number, item] : queue_) {
    if (under_way_.contains(item->block)) continue;  // an earlier one
    if (!may_upload_now(*item)) {
      if (item->pause.count() > 0) continue;
      return nullptr;
    }
    return item;
  }
  return nullptr;
}

// With mutex_ held: something may be due.
void Staging::wake() {
  look_ = true;
  changed_.notify_all();
}

int Staging::uploads_now() const {
  const auto now = Monotonic::now();
  const bool crowd = now - last_staged_ < options_.pause && now - crowd_since_ < options_.patience;
  return crowd && draining_ == 0 ? std::max(1, options_.uploads / 10) : options_.uploads;
}

void Staging::dispatch(const std::stop_token& stop) {
  constexpr Millis kLook{500};
  constexpr Millis kGrow{5};  // while uploads wait for a thread
  auto retry_lock = Monotonic::now() + kRetryLock;
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const int most = uploads_now();
    ItemPtr item = under_way_.size() < static_cast<size_t>(most) ? next_due() : nullptr;
    if (item) {
      queue_.erase({item->number, item});
      item->tried = true;
      under_way_.emplace(item->block, false);
      uploads_.submit([this, item] { upload(item); });
      continue;
    }
    if (items_.empty()) {
      changed_.wait_for(lock, stop, kRetryLock, [&] { return !items_.empty(); });
    } else {
      const Millis while_crowded = most < options_.uploads ? options_.pause : kLook;
      changed_.wait_for(lock, stop, uploads_.poke() ? kGrow : while_crowded, [&] { return look_; });
    }
    look_ = false;
    if (Monotonic::now() < retry_lock) continue;
    lock.unlock();
    for (size_t place = 0; place < dirs_->size(); place++) {
      if (!locks_[place] && lock_dir(place)) recover(place);
    }
    retry_lock = Monotonic::now() + kRetryLock;
    lock.lock();
  }
}

void Staging::upload(const ItemPtr& item) {
  const Status status = try_upload(item);
  // Not in the name's turn, as the store may take long: the next upload of the name waits, nobody else.
  while (!end_upload(item, status)) {
    if (target_.remove) target_.remove(item->block);
  }
}

// False: its object is not wanted any more, and is to be removed first.
bool Staging::end_upload(const ItemPtr& item, const Status& uploaded) {
  const Turn turn(*this, item->block);
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(under_way_[item->block], false)) return false;
  }
  if (is_current(item)) settle(item, uploaded);
  std::lock_guard lock(mutex_);
  under_way_.erase(item->block);
  wake();
  return true;
}

void Staging::settle(const ItemPtr& item, const Status& uploaded) {
  if (uploaded) {
    finish(item);
  } else if (uploaded.error().code == EBADMSG) {
    set_aside(*item, uploaded.error());
    erase(item);
  } else if (!stopping_.stop_requested()) {
    try_later(item, uploaded.error());
  }
}

bool Staging::is_current(const ItemPtr& item) const {
  return find(item->block) == item;
}

Status Staging::try_upload(const ItemPtr& item) {
  Result<BufferChain> data = load(*item);
  if (!data && data.error().code == ENOENT) {
    if (!is_current(item)) return {};
    // Another process has uploaded and removed it.
    if (TRY(target_.exists(item->block))) return {};
    errors_metric_.add();
    log::error("staged block " + text(item->block) + " is gone from " +
               (*dirs_)[item->place].staging_folder(item->form) + " and is not in the store");
    return {};
  }
  if (!data) return fail(data.error());
  return target_.upload(item->block, *data, stopping_.get_token());
}

Result<BufferChain> Staging::load(const Item& item) {
  if (Buffer data = unwritten(item); !data.empty()) return BufferChain{data};
  BlockFile file = TRY(open_file(item));
  TRY(budget_.wait_for_room(item.block.bytes, 1.0, stopping_.get_token()));
  Buffer data = Buffer::allocate(item.block.bytes, &budget_);
  TRY(file.read(0, {data.mutable_data(), data.size()}, Verify::full));
  return BufferChain{data};
}

void Staging::set_aside(const Item& item, const Error& error) {
  CacheDir& dir = (*dirs_)[item.place];
  const BlockPath path = path_of(item);
  const std::string aside =
      dir.path() + "damaged/" + text(item.block) + (item.form == BlockForm::sealed ? ".sealed" : "");
  errors_metric_.add();
  Result<bool> there = target_.exists(item.block);
  Status made = dir.make_parents(aside);
  const bool moved = made && ::rename(path.c_str(), aside.c_str()) == 0;
  log::error("staged block " + std::string(path) + " is damaged (" + error.to_string() + ") and " +
             (moved ? "moved to " + aside : "could not be moved away") +
             (there && *there ? "; the store has the block" : "; its data is lost"));
  open_.drop(item.block);
  if (cache_) cache_->remove(item.block);
}

void Staging::finish(const ItemPtr& item) {
  upload_outage_.succeeded();
  delay_metric_.add(static_cast<double>(to_nanos(clock_.now()) - to_nanos(item->added)) / 1e9);
  // Whoever finds it staged until now reads the file, and from now on the object.
  erase(item);
  const Buffer data = remove_file(*item);
  if (!cache_) return;
  if (data.empty()) {
    cache_->uploaded(item->block, item->place);
  } else {
    cache_->offer(item->block, {data}, BlockCache::Origin::written);
  }
}

void Staging::try_later(const ItemPtr& item, const Error& error) {
  upload_outage_.failed(error);
  std::lock_guard lock(mutex_);
  item->pause = std::clamp(item->pause * 2, kFirstPause, kLongestPause);
  item->not_before = Monotonic::now() + item->pause;
  queue_.emplace(item->number, item);
  changed_.notify_all();
}

Status Staging::drain(std::stop_token stop, const Progress& progress) {
  constexpr Millis kTell{300};
  std::unique_lock lock(mutex_);
  const uint64_t until = next_number_;
  draining_++;
  wake();
  const auto done = [&] { return numbers_.empty() || *numbers_.begin() >= until; };
  while (!done() && !stop.stop_requested() && !stopping_.stop_requested()) {
    const Usage left{items_.size(), bytes_};
    if (progress) {
      lock.unlock();
      progress(left);
      lock.lock();
    }
    changed_.wait_for(lock, stop, kTell, done);
  }
  draining_--;
  if (done()) return {};
  return fail(EINTR, std::to_string(items_.size()) + " staged blocks are not uploaded");
}

}  // namespace cider::chunk
