#include "chunk/staging.h"

#include <unistd.h>

#include <cstring>

#include "base/log.h"
#include "chunk/staging_item.h"

namespace cider::chunk {

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

// What takes the place of a staged block needs no more room, and has to be uploaded after that.
bool Staging::accepts(const BlockName& block, const ItemPtr& earlier, bool refused) const {
  if (earlier) return !stopping_.stop_requested();
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
  const Turn turn(*this, block);
  const size_t place = dirs_->place(block);
  if (place == dirs_->size() || total_size(data) != block.bytes) return false;
  const ItemPtr earlier = find(block);
  if (!accepts(block, earlier, refused)) return false;
  if ((*dirs_)[place].is_full_for_staging()) return false;
  if (cache_) cache_->remove(block);  // an earlier one: the cache is asked first
  writing_++;
  bool journaled = false;
  Status written = write(place, block, data, earlier.get(), &journaled);
  writing_--;
  const BlockPath path = (*dirs_)[place].staging(block);
  if (!written) {
    errors_metric_.add();
    log::warning("staging " + std::string(path) + ": " + written.error().to_string() +
                 "; the block is uploaded directly");
    // An earlier block stays until the store is about to get this one.
    if (!earlier || std::string_view(path_of(*earlier)) != std::string_view(path)) ::unlink(path.c_str());
    return false;
  }
  insert(block, place, (*dirs_)[place].form(), clock_.now(), journaled, earlier);
  if (journaled) {
    journaled_metric_.add();
  } else if (cache_) {
    cache_->staged(block, place, path.c_str());
  }
  return true;
}

Status Staging::write(size_t place, const BlockName& block, const BufferChain& data, const Item* earlier,
                      bool* journaled) {
  CacheDir& dir = (*dirs_)[place];
  DiskHealth::Request request = dir.health().begin();
  if (!request) return fail(EIO, "the disk is not usable");
  const auto work = [&]() -> Status {
    const BlockPath path = dir.staging(block);
    if (earlier || ::access(path.c_str(), F_OK) == 0) return replace(dir, block, data, earlier);
    *journaled = journals_[place]->append(block, data);
    if (*journaled) return {};
    // One commit of the file system does for the data and its name, if the name comes first: a name whose
    // data a loss of power has taken is found out by the checksums, and nothing was said of it.
    const UniqueFd file = TRY(dir.store(path.c_str(), block, data, {}));
    if (::fdatasync(file.get()) != 0) return fail_errno("fdatasync");
    return sync_name(dir, path, block);
  };
  Status done = work();
  request.done(code_of(done));
  return done;
}

// What is there stays until the new file is safe.
Status Staging::replace(CacheDir& dir, const BlockName& block, const BufferChain& data, const Item* earlier) {
  const BlockPath path = dir.staging(block);
  if (earlier && earlier->journaled) TRY(journals_[earlier->place]->settle(block));
  TRY(dir.store(path.c_str(), block, data, {.durable = true}));
  return sync_name(dir, path, block);
}

// No journal brings an earlier block back then, also after this one is uploaded and its file removed.
Status Staging::sync_name(CacheDir& dir, const BlockPath& path, const BlockName& block) {
  TRY(sync_folder(dir, path));
  for (const auto& journal : journals_) TRY(journal->supersede(block));
  return {};
}

Status Staging::sync_folder(const CacheDir& dir, const BlockPath& path) {
  const std::string_view file = path;
  return folders_.sync(std::string(file.substr(0, file.rfind('/') + 1)), dir.path());
}

BlockPath Staging::path_of(const Item& item) const {
  return (*dirs_)[item.place].staging(item.block, item.form);
}

// In the name's turn. Of the earlier item, if there is one, nothing is left but an upload that runs.
void Staging::insert(const BlockName& block, size_t place, BlockForm form, Time added, bool journaled,
                     const ItemPtr& earlier) {
  {
    std::lock_guard lock(mutex_);
    if (earlier) take_out(earlier);
    put_in(std::make_shared<Item>(block, place, form, added, journaled, next_number_++,
                                  (earlier && earlier->tried) || under_way_.contains(block)));
  }
  if (earlier && (earlier->place != place || earlier->form != form)) remove_file(*earlier);
  open_.drop(block);
}

void Staging::put_in(ItemPtr item) {
  items_[item->block] = item;
  queue_.emplace(item->number, item);
  numbers_.insert(item->number);
  held_ = items_.size();
  bytes_ += item->block.bytes;
  blocks_metric_.add();
  bytes_metric_.add(item->block.bytes);
  const auto now = Monotonic::now();
  if (now - last_staged_ >= options_.pause) crowd_since_ = now;
  last_staged_ = now;
  // Behind others it is looked at when one of them has ended.
  if (queue_.size() == 1) wake();
}

void Staging::erase(const ItemPtr& item) {
  std::lock_guard lock(mutex_);
  take_out(item);
  changed_.notify_all();
}

void Staging::take_out(const ItemPtr& item) {
  queue_.erase({item->number, item});
  items_.erase(item->block);
  numbers_.erase(item->number);
  held_ = items_.size();
  bytes_ -= item->block.bytes;
  blocks_metric_.add(-1);
  bytes_metric_.add(-static_cast<double>(item->block.bytes));
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
  return (*dirs_)[item.place].open_file(path_of(item).c_str(), item.block, item.form);
}

Result<OpenFiles::Lease> Staging::open(const Item& item) {
  uint64_t drops;
  OpenFiles::Lease lease = open_.find(item.block, &drops);
  if (lease) return lease;
  return open_.add(item.block, TRY(open_file(item)), drops);
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
  // Uploaded and removed, or staged again, by us since we asked or by another process.
  if (!lease && lease.error().code == ENOENT) {
    if (is_current(item)) return false;
    return read(block, off, out);
  }
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
  const Turn turn(*this, block);
  const ItemPtr item = find(block);
  if (!item) return false;
  erase(item);
  remove_file(*item);
  if (cache_) cache_->remove(block);
  std::lock_guard lock(mutex_);
  const auto running = under_way_.find(block);
  if (running == under_way_.end()) return !item->tried;
  running->second = true;  // upload() removes the object
  return true;
}

Status Staging::supersede(const BlockName& block, std::stop_token stop) {
  {
    const auto check = [&](const Status& done) {
      if (!done) log::error("block " + text(block) + ": " + done.error().to_string());
    };
    const Turn turn(*this, block);
    if (const ItemPtr item = find(block)) {
      erase(item);
      remove_file(*item);
      // Or the file would be back after a power loss, and be taken for what the store lacks.
      check(sync_folder((*dirs_)[item->place], path_of(*item)));
    }
    for (const auto& journal : journals_) check(journal->supersede(block));
  }
  std::unique_lock lock(mutex_);
  const auto over = [&] { return !under_way_.contains(block) || stopping_.stop_requested(); };
  if (changed_.wait(lock, stop, over)) return {};
  return fail(EINTR);
}

}  // namespace cider::chunk
