#include "chunk/staging.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace cider::chunk {
namespace {

constexpr Millis kFirstPause{200};
constexpr Millis kLongestPause{30'000};
constexpr Seconds kRetryLock{5};

std::string text(const BlockName& block) {
  return std::to_string(block.slice) + "_" + std::to_string(block.index) + "_" + std::to_string(block.bytes);
}

}  // namespace

struct Staging::Item {
  BlockName block;
  size_t place = 0;
  uint64_t number = 0;
  std::atomic<BlockForm> form{BlockForm::plain};
  std::atomic<bool> journaled{false};  // its journal knows of it
  Time added;
  bool uploading = false;  // or uploaded
  bool removed = false;    // its slice is gone
  Millis pause{0};
  Monotonic::time_point not_before{};
};

Staging::Staging(std::shared_ptr<CacheDirs> dirs, DiskCache* cache, StagingTarget target,
                 StagingOptions options, MemoryBudget& budget, MetricSet& metrics, const Clock& clock)
    : dirs_(std::move(dirs)),
      cache_(cache),
      target_(std::move(target)),
      options_(options),
      budget_(budget),
      clock_(clock),
      blocks_metric_(metrics.counter("staging_blocks")),
      bytes_metric_(metrics.counter("staging_block_bytes")),
      delay_metric_(metrics.counter("staging_block_delay_seconds")),
      errors_metric_(metrics.counter("staging_block_errors")),
      journaled_metric_(metrics.counter("staging_block_journaled")),
      locks_(dirs_->size()),
      uploads_("staging-upload", options.uploads) {
  for (size_t place = 0; place < dirs_->size(); place++) journals_.push_back(make_journal(place));
}

std::unique_ptr<StagingJournal> Staging::make_journal(size_t place) {
  auto written = [this, place](const BlockName& block) {
    if (cache_) cache_->staged(block, place, (*dirs_)[place].staging(block).c_str());
  };
  return std::make_unique<StagingJournal>((*dirs_)[place], folders_, budget_, options_.journal, written);
}

Staging::~Staging() {
  stop();
}

void Staging::start() {
  for (size_t place = 0; place < dirs_->size(); place++) {
    // The folders above may be new, too. Those that can't be opened were there before.
    (void)folders_.sync((*dirs_)[place].path(), "/");
    if (lock_dir(place)) recover(place);
  }
  dispatcher_ = std::jthread([this] { dispatch(stopping_.get_token()); });
}

void Staging::stop() {
  stopping_.request_stop();
  {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  if (dispatcher_.joinable()) dispatcher_.join();
  uploads_.stop();
  for (const auto& journal : journals_) journal->stop();
}

// ---- Staging

bool Staging::accepts(const BlockName& block, bool refused) const {
  if (!options_.accept && !(refused && options_.spill)) return false;
  if (!refused && options_.threshold != 0 && block.bytes >= options_.threshold) return false;
  if (options_.max_writers != 0 && writing_.load() >= options_.max_writers) return false;
  std::lock_guard lock(mutex_);
  if (stopping_.stop_requested()) return false;
  if (options_.max_bytes != 0 && bytes_ + block.bytes > options_.max_bytes) return false;
  if (options_.max_age.count() == 0 || queue_.empty()) return true;
  return to_nanos(clock_.now()) - to_nanos(queue_.begin()->second->added) <=
         std::chrono::nanoseconds(options_.max_age).count();
}

bool Staging::add(const BlockName& block, const BufferChain& data, bool refused) {
  const size_t place = dirs_->place(block);
  if (place == dirs_->size() || total_size(data) != block.bytes || !accepts(block, refused)) return false;
  if ((*dirs_)[place].is_full_for_staging()) return false;
  writing_++;
  bool journaled = false;
  Status written = write(place, block, data, &journaled);
  writing_--;
  const BlockPath path = (*dirs_)[place].staging(block);
  if (!written) {
    errors_metric_.add();
    log::warning("staging " + std::string(path) + ": " + written.error().to_string() +
                 "; the block is uploaded directly");
    // An earlier copy of the same bytes stays.
    const ItemPtr earlier = find(block);
    if (!earlier || std::string_view(path_of(*earlier)) != std::string_view(path)) ::unlink(path.c_str());
    return false;
  }
  open_.drop(block);
  insert(block, place, (*dirs_)[place].form(), clock_.now(), journaled);
  if (journaled) {
    journaled_metric_.add();
  } else if (cache_) {
    cache_->staged(block, place, path.c_str());
  }
  return true;
}

Status Staging::write(size_t place, const BlockName& block, const BufferChain& data, bool* journaled) {
  CacheDir& dir = (*dirs_)[place];
  DiskHealth::Request request = dir.health().begin();
  if (!request) return fail(EIO, "the disk is not usable");
  const auto work = [&]() -> Status {
    const BlockPath path = dir.staging(block);
    const bool replaces = ::access(path.c_str(), F_OK) == 0 || holds(block);
    *journaled = !replaces && journals_[place]->append(block, data);
    if (*journaled) return {};
    // One commit of the file system does for the data and its name, if the name comes first: a name whose
    // data a loss of power has taken is found out by the checksums, and nothing was said of it. A copy that
    // is there stays until the new one is safe.
    const UniqueFd file = TRY(dir.store(path.c_str(), block, data, {.durable = replaces}));
    if (!replaces && ::fdatasync(file.get()) != 0) return fail_errno("fdatasync");
    const std::string_view folder = path;
    return folders_.sync(std::string(folder.substr(0, folder.rfind('/') + 1)), dir.path());
  };
  Status done = work();
  request.done(code_of(done));
  return done;
}

BlockPath Staging::path_of(const Item& item) const {
  return (*dirs_)[item.place].staging(item.block, item.form);
}

Staging::ItemPtr Staging::insert(const BlockName& block, size_t place, BlockForm form, Time added,
                                 bool journaled) {
  std::lock_guard lock(mutex_);
  auto [at, fresh] = items_.try_emplace(block);
  if (!fresh) {  // staged again, with the same bytes
    if (journaled) at->second->journaled = true;
    if (at->second->place == place) switch_form(*at->second, form);
    return at->second;
  }
  auto item = std::make_shared<Item>();
  item->block = block;
  item->place = place;
  item->form = form;
  item->added = added;
  item->journaled = journaled;
  item->number = next_number_++;
  at->second = item;
  queue_.emplace(item->number, item);
  numbers_.insert(item->number);
  held_ = items_.size();
  bytes_ += block.bytes;
  blocks_metric_.add();
  bytes_metric_.add(block.bytes);
  const auto now = Monotonic::now();
  if (now - last_staged_ >= options_.pause) crowd_since_ = now;
  last_staged_ = now;
  // Behind others it is looked at when one of them has ended.
  if (queue_.size() == 1) wake();
  return item;
}

// Of a block that was staged by mounts with and without encryption the newer file stays.
void Staging::switch_form(Item& item, BlockForm form) {
  if (item.form == form) return;
  const BlockPath old = path_of(item);
  item.form = form;
  ::unlink(old.c_str());
  open_.drop(item.block);
}

void Staging::erase(const ItemPtr& item) {
  std::lock_guard lock(mutex_);
  queue_.erase({item->number, item});
  auto found = items_.find(item->block);
  if (found == items_.end() || found->second != item) return;
  items_.erase(found);
  numbers_.erase(item->number);
  held_ = items_.size();
  bytes_ -= item->block.bytes;
  blocks_metric_.add(-1);
  bytes_metric_.add(-static_cast<double>(item->block.bytes));
  changed_.notify_all();
}

Staging::ItemPtr Staging::find(const BlockName& block) const {
  if (held_.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard lock(mutex_);
  auto found = items_.find(block);
  return found == items_.end() ? nullptr : found->second;
}

bool Staging::holds(const BlockName& block) const {
  return find(block) != nullptr;
}

Staging::Usage Staging::usage() const {
  std::lock_guard lock(mutex_);
  return {items_.size(), bytes_};
}

Result<BlockFile> Staging::open_file(const Item& item) const {
  const CacheDir& dir = (*dirs_)[item.place];
  const BlockForm form = item.form;
  return dir.open_file(dir.staging(item.block, form).c_str(), item.block, form);
}

Result<OpenFiles::Lease> Staging::open(const Item& item) {
  OpenFiles::Lease lease = open_.find(item.block);
  if (lease) return lease;
  return open_.add(item.block, TRY(open_file(item)));
}

Result<bool> Staging::read(const BlockName& block, uint32_t off, std::span<std::byte> out) {
  const ItemPtr item = find(block);
  if (!item) return false;
  if (const Buffer data = unwritten(*item); !data.empty()) {
    if (uint64_t{off} + out.size() > data.size()) return fail(EINVAL, "beyond the block");
    std::memcpy(out.data(), data.data() + off, out.size());
    return true;
  }
  Result<OpenFiles::Lease> lease = open(*item);
  // Uploaded and removed, by us since we asked or by another process.
  if (!lease && lease.error().code == ENOENT) return false;
  Status status = lease ? lease->file().read(off, out, Verify::extend) : Status(fail(lease.error()));
  if (!status) return fail(EIO, "staged block " + text(block) + ": " + status.error().to_string());
  return true;
}

// What was staged a moment ago has no file yet.
Buffer Staging::unwritten(const Item& item) const {
  return item.journaled ? journals_[item.place]->unwritten(item.block) : Buffer();
}

// Its file goes, if it has one already; the bytes if not.
Buffer Staging::remove_file(const Item& item) {
  const Buffer data = item.journaled ? journals_[item.place]->forget(item.block) : Buffer();
  ::unlink(path_of(item).c_str());
  open_.drop(item.block);
  return data;
}

bool Staging::remove(const BlockName& block) {
  const ItemPtr item = find(block);
  if (!item) return false;
  bool uploading;
  {
    std::lock_guard lock(mutex_);
    uploading = item->uploading;
    item->removed = true;
  }
  remove_file(*item);
  if (cache_) cache_->remove(block);
  if (uploading) return false;  // upload() removes the object
  erase(item);
  return true;
}

// ---- Uploading

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
    ItemPtr item = uploading_ < most ? next_due() : nullptr;
    if (item) {
      queue_.erase({item->number, item});
      item->uploading = true;
      uploading_++;
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
  Status status = try_upload(item);
  bool removed;
  {
    std::lock_guard lock(mutex_);
    uploading_--;
    removed = item->removed;
    wake();
  }
  if (removed) {
    if (target_.remove) target_.remove(item->block);
    erase(item);
  } else if (status) {
    finish(item);
  } else if (status.error().code == EBADMSG) {
    set_aside(*item, status.error());
    erase(item);
  } else if (!stopping_.stop_requested()) {
    try_later(item, status.error());
  }
}

Status Staging::try_upload(const ItemPtr& item) {
  Result<BufferChain> data = load(*item);
  if (!data && data.error().code == ENOENT) {
    {
      std::lock_guard lock(mutex_);
      if (item->removed) return {};
    }
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
  item->uploading = false;
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
