#include "chunk/cache/disk_cache.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "base/interruptible_sleep.h"
#include "base/log.h"

namespace cider::chunk {
namespace {

constexpr int kWriters = 4;
constexpr Seconds kWritePause{10};

MemoryCache::Options fallback_options(const DiskCache::Options& options) {
  MemoryCache::Options memory;
  memory.size = std::min<uint64_t>(memory.size, options.cache.size);
  memory.block_size = options.block_size;
  memory.partial_only = options.cache.partial_only;
  memory.large_write = options.cache.large_write;
  memory.only_asked = options.cache.only_asked;
  return memory;
}

}  // namespace

// What was written to the cache shall not take the place of other pages, where it could not be written past
// the page cache: the kernel begins to write it out at once, and drops it once a few more blocks have
// followed and it is clean. Checksums stay.
class DiskCache::PageCacheTail {
 public:
  void add(UniqueFd file, uint32_t bytes) {
    ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    std::lock_guard lock(mutex_);
    files_.emplace_back(std::move(file), bytes);
    if (files_.size() <= kFiles) return;
    ::posix_fadvise(files_.front().first.get(), 0, files_.front().second, POSIX_FADV_DONTNEED);
    files_.pop_front();
  }

 private:
  static constexpr size_t kFiles = 32;
  std::mutex mutex_;
  std::deque<std::pair<UniqueFd, uint32_t>> files_;
};

DiskCache::DiskCache(std::shared_ptr<CacheDirs> dirs, Options options, MetricSet& metrics)
    : files_(std::move(dirs)),
      options_(std::move(options)),
      size_per_dir_(options_.cache.size / std::max<size_t>(1, files_->size())),
      items_per_dir_(options_.cache.items / std::max<size_t>(1, files_->size())),
      metrics_(metrics),
      fallback_(fallback_options(options_), metrics),
      tail_(std::make_unique<PageCacheTail>()),
      writers_("cache-write", kWriters) {
  for (size_t i = 0; i < files_->size(); i++) dirs_.push_back(std::make_unique<Dir>());
}

DiskCache::~DiskCache() {
  stop();
  for (const auto& dir : dirs_) {
    metrics_.blocks.add(-static_cast<double>(dir->index.blocks()));
    metrics_.bytes.add(-static_cast<double>(dir->index.bytes()));
  }
}

void DiskCache::start() {
  scanner_ = std::jthread([this] { run_scans(stopping_.get_token()); });
  // One for each: a disk that hangs holds up its own thread.
  for (size_t place = 0; place < files_->size(); place++)
    keepers_.emplace_back([this, place] { run(place, stopping_.get_token()); });
}

void DiskCache::stop() {
  stopping_.request_stop();
  {
    std::unique_lock lock(pending_mutex_);
    pending_gone_.wait_for(lock, options_.stop_limit, [&] { return pending_.empty(); });
  }
  writers_.stop();
  if (scanner_.joinable()) scanner_.join();
  keepers_.clear();
  std::lock_guard lock(pending_mutex_);
  pending_.clear();
  pending_bytes_ = 0;
  pending_count_ = 0;
  pending_gone_.notify_all();
}

BlockIndex::Tick DiskCache::now() const {
  return static_cast<BlockIndex::Tick>((Monotonic::now() - start_) / Seconds(4) + 2);
}

void DiskCache::count(const BlockName& block, int sign) {
  metrics_.blocks.add(sign);
  metrics_.bytes.add(sign * static_cast<double>(BlockIndex::cost(block.bytes)));
}

// ---- Reading

bool DiskCache::read(const BlockName& block, uint32_t off, std::span<std::byte> out) {
  const auto began = Monotonic::now();
  const size_t place = files_->place(block);
  if (place == files_->size()) return fallback_.read(block, off, out);
  const Waiting waiting = read_pending(block, off, out);
  if (waiting == Waiting::removed || (waiting == Waiting::no && !read_file(place, block, off, out))) {
    metrics_.miss.add();
    metrics_.miss_bytes.add(static_cast<double>(out.size()));
    return false;
  }
  metrics_.hits.add();
  metrics_.hit_bytes.add(static_cast<double>(out.size()));
  metrics_.read_seconds.observe(std::chrono::duration<double>(Monotonic::now() - began).count());
  return true;
}

DiskCache::Waiting DiskCache::read_pending(const BlockName& block, uint32_t off,
                                           std::span<std::byte> out) const {
  if (pending_count_.load(std::memory_order_relaxed) == 0) return Waiting::no;
  std::shared_lock lock(pending_mutex_);
  auto found = pending_.find(block);
  if (found == pending_.end()) return Waiting::no;
  if (found->second.empty() || uint64_t{off} + out.size() > block.bytes) return Waiting::removed;
  for (const Buffer& piece : found->second) {
    if (off >= piece.size()) {
      off -= static_cast<uint32_t>(piece.size());
      continue;
    }
    const size_t n = std::min(out.size(), piece.size() - off);
    std::memcpy(out.data(), piece.data() + off, n);
    out = out.subspan(n);
    off = 0;
    if (out.empty()) break;
  }
  return Waiting::read;
}

bool DiskCache::read_file(size_t place, const BlockName& block, uint32_t off, std::span<std::byte> out) {
  if (uint64_t{off} + out.size() > block.bytes) return false;
  DiskHealth::Request request = (*files_)[place].health().begin();
  if (!request) return false;
  Result<OpenFiles::Lease> lease = open(place, block);
  Status status = lease ? lease->file().read(off, out, options_.cache.verify) : Status(fail(lease.error()));
  request.done(code_of(status));
  if (status) {
    Dir& dir = *dirs_[place];
    if (!dir.index.touch(block, now()))
      added(dir, block, false);  // not scanned yet, or made by somebody else
    return true;
  }
  if (status.error().code == EBADMSG) {
    damaged(place, block, status.error());
  } else {
    lost(place, block, status.error());
  }
  return false;
}

Result<OpenFiles::Lease> DiskCache::open(size_t place, const BlockName& block) {
  uint64_t drops;
  OpenFiles::Lease lease = open_.find(block, &drops);
  if (lease) return lease;
  const CacheDir& dir = (*files_)[place];
  Result<BlockFile> file = dir.open_file(dir.raw(block).c_str(), block, dir.form());
  if (!file) return fail(file.error());
  return open_.add(block, std::move(*file), drops);
}

void DiskCache::damaged(size_t place, const BlockName& block, const Error& error) {
  const BlockPath path = (*files_)[place].raw(block);
  log::warning("cache: " + std::string(path) + " is damaged and removed: " + error.to_string());
  metrics_.damaged.add();
  forget(place, block, true);
}

// A file that is gone is no error: JuiceFS or a person has removed it.
void DiskCache::lost(size_t place, const BlockName& block, const Error& error) {
  if (error.code != ENOENT) {
    metrics_.io_errors.add();
    log::warning("cache: " + std::string((*files_)[place].raw(block)) + ": " + error.to_string());
  }
  forget(place, block, false);
}

void DiskCache::forget(size_t place, const BlockName& block, bool unlink) {
  if (dirs_[place]->index.remove(block)) count(block, -1);
  if (unlink) ::unlink((*files_)[place].raw(block).c_str());
  open_.drop(block);
}

// By the index, as most that is asked for is there. What it doesn't know may still be on the disk.
bool DiskCache::contains(const BlockName& block) const {
  const size_t place = files_->place(block);
  if (place == files_->size()) return fallback_.contains(block);
  return dirs_[place]->index.contains(block) || is_pending(block) || is_on_disk(place, block);
}

bool DiskCache::is_pending(const BlockName& block) const {
  if (pending_count_.load() == 0) return false;
  std::shared_lock lock(pending_mutex_);
  auto found = pending_.find(block);
  return found != pending_.end() && !found->second.empty();
}

bool DiskCache::is_on_disk(size_t place, const BlockName& block) const {
  CacheDir& dir = (*files_)[place];
  DiskHealth::Request request = dir.health().begin();
  if (!request) return false;
  const bool there = ::access(dir.raw(block).c_str(), R_OK) == 0;
  request.done(there ? 0 : errno);
  return there;
}

std::string DiskCache::where(const BlockName& block) const {
  const size_t place = files_->place(block);
  if (place == files_->size()) return fallback_.where(block);
  return is_pending(block) || is_on_disk(place, block) ? (*files_)[place].path() : "";
}

// ---- Writing

void DiskCache::offer(const BlockName& block, BufferChain data, Origin origin) {
  // A metadata engine that has lost its last commits may give numbers out again: what is written now counts.
  if (origin == Origin::written) replace(block);
  if (total_size(data) != block.bytes || !MemoryCache::admits(fallback_options(options_), block, origin))
    return;
  const size_t place = files_->place(block);
  if (place == files_->size()) return fallback_.offer(block, std::move(data), origin);
  const Dir& dir = *dirs_[place];
  if (dir.index.contains(block)) return;
  const bool paused = Monotonic::now().time_since_epoch().count() < dir.writes_resume.load();
  const bool full = options_.cache.eviction == Eviction::none && (is_over(dir) || (*files_)[place].is_full());
  if (paused || full) return metrics_.drops.add();
  {
    std::lock_guard lock(pending_mutex_);
    if (stopping_.stop_requested() || pending_.contains(block)) return;
    if (pending_bytes_ + block.bytes > options_.pending_bytes && !pending_.empty())
      return metrics_.drops.add();
    pending_bytes_ += block.bytes;
    pending_count_++;
    pending_.emplace(block, std::move(data));
  }
  writers_.submit([this, block, read_soon = origin == Origin::asked] {
    BufferChain copy;
    {
      std::shared_lock lock(pending_mutex_);
      auto found = pending_.find(block);
      if (found != pending_.end()) copy = found->second;
    }
    if (!copy.empty()) write(block, copy, read_soon);
    copy.clear();
    written(block);
  });
}

void DiskCache::replace(const BlockName& block) {
  const size_t place = files_->place(block);
  if (place == files_->size() || dirs_[place]->index.contains(block)) remove(block);
}

void DiskCache::put(const BlockName& block, BufferChain data) {
  if (total_size(data) != block.bytes) return;
  const size_t place = files_->place(block);
  if (place == files_->size()) return fallback_.put(block, std::move(data));
  if (!dirs_[place]->index.contains(block)) write(block, data, true);
}

void DiskCache::write(const BlockName& block, const BufferChain& data, bool read_soon) {
  const size_t place = files_->place(block);
  if (place == files_->size()) return;
  const auto began = Monotonic::now();
  DiskHealth::Request request = (*files_)[place].health().begin();
  if (!request) return metrics_.drops.add();
  Status status = write_file(place, block, data, read_soon);
  request.done(code_of(status));
  if (!status) {
    metrics_.io_errors.add();
    log::warning("cache: writing " + std::string((*files_)[place].raw(block)) + ": " +
                 status.error().to_string() + "; nothing is written there for a while");
    dirs_[place]->writes_resume = (Monotonic::now() + kWritePause).time_since_epoch().count();
    return;
  }
  metrics_.writes.add();
  metrics_.write_bytes.add(block.bytes);
  metrics_.write_seconds.observe(std::chrono::duration<double>(Monotonic::now() - began).count());
  added(*dirs_[place], block, false);
  if (is_over(*dirs_[place])) evict(place, 0, 0);
}

// Few of the blocks that are cached by the way are read soon, those that somebody asks for are: they stay in
// the page cache. It also helps where the disk does not keep up.
Status DiskCache::write_file(size_t place, const BlockName& block, const BufferChain& data, bool read_soon) {
  constexpr uint32_t kLarge = 1 << 20;
  CacheDir& dir = (*files_)[place];
  const bool large = block.bytes >= kLarge && !read_soon;
  const BlockWrite how{.trailer = options_.cache.verify != Verify::none,
                       .past_page_cache = large && pending_bytes_.load(std::memory_order_relaxed) <
                                                       options_.pending_bytes / 2};
  UniqueFd file = TRY(dir.store(dir.raw(block).c_str(), block, data, how));
  if (large && !how.past_page_cache) tail_->add(std::move(file), block.bytes);
  return {};
}

// A block that was removed while it was being written is removed again, before it can be taken for cached.
void DiskCache::written(const BlockName& block) {
  const size_t place = files_->place(block);
  std::unique_lock lock(pending_mutex_);
  auto found = pending_.find(block);
  if (found == pending_.end()) return;
  if (found->second.empty() && place != files_->size()) {
    lock.unlock();
    forget(place, block, true);
    lock.lock();
    found = pending_.find(block);
    if (found == pending_.end()) return;
  }
  pending_.erase(found);
  pending_bytes_ -= block.bytes;
  pending_count_--;
  pending_gone_.notify_all();
}

void DiskCache::added(Dir& dir, const BlockName& block, bool staged) {
  if (dir.index.add(block, now(), staged)) count(block, 1);
}

void DiskCache::remove(const BlockName& block) {
  fallback_.remove(block);
  {
    std::lock_guard lock(pending_mutex_);
    auto found = pending_.find(block);
    if (found != pending_.end()) found->second.clear();
  }
  const size_t place = files_->place(block);
  if (place != files_->size()) forget(place, block, true);
}

void DiskCache::staged(const BlockName& block, size_t dir, const char* path) {
  fallback_.remove(block);
  const Status linked = (*files_)[dir].link(path, (*files_)[dir].raw(block).c_str());
  open_.drop(block);
  if (!linked) return;
  added(*dirs_[dir], block, true);
}

void DiskCache::uploaded(const BlockName& block, size_t dir) {
  dirs_[dir]->index.set_staged(block, false);
  if (options_.cache.only_asked) remove(block);  // the store has it on the same disk
}

void DiskCache::drain() {
  std::unique_lock lock(pending_mutex_);
  pending_gone_.wait(lock, [&] { return pending_.empty(); });
}

// ---- Making room

bool DiskCache::is_over(const Dir& dir) const {
  return dir.index.bytes() > size_per_dir_ || (items_per_dir_ != 0 && dir.index.blocks() > items_per_dir_);
}

// Files are deleted in batches, outside of all locks of the index.
void DiskCache::evict(size_t place, uint64_t bytes_to_free, uint64_t blocks_to_free) {
  constexpr size_t kBatch = 64;
  constexpr int kMostMisses = 16;
  if (options_.cache.eviction == Eviction::none) return;
  const int tries = options_.cache.eviction == Eviction::lru ? 16 : 2;
  Dir& dir = *dirs_[place];
  std::unique_lock one_at_a_time(dir.eviction, std::try_to_lock);
  if (!one_at_a_time) return;
  uint64_t bytes = 0;
  uint64_t blocks = 0;
  int misses = 0;
  std::vector<BlockName> batch;
  const auto enough = [&] { return !is_over(dir) && bytes >= bytes_to_free && blocks >= blocks_to_free; };
  while (!enough() && misses < kMostMisses && !stopping_.stop_requested()) {
    batch.clear();
    while (batch.size() < kBatch && !enough() && misses < kMostMisses) {
      auto victim = dir.index.pick(tries);
      if (!victim || !dir.index.remove_unused(*victim)) {
        misses++;
        continue;
      }
      count(victim->name, -1);
      bytes += BlockIndex::cost(victim->name.bytes);
      blocks++;
      batch.push_back(victim->name);
    }
    for (const BlockName& name : batch) forget(place, name, true);
    metrics_.evicts.add(static_cast<double>(batch.size()));
  }
}

void DiskCache::expire(size_t place) {
  if (options_.cache.expire.count() == 0) return;
  const auto age = static_cast<BlockIndex::Tick>(options_.cache.expire / Seconds(4) + 1);
  if (now() <= age) return;
  Dir& dir = *dirs_[place];
  // Often enough that all parts have been looked at within a minute, or the time of expiry.
  const auto turns = std::max<int64_t>(1, std::min<int64_t>(60, options_.cache.expire.count()));
  for (size_t i = 0; i < BlockIndex::kShards / static_cast<size_t>(turns) + 1; i++) {
    for (const BlockIndex::Found& old : dir.index.older(dir.next_part++, now() - age)) {
      if (!dir.index.remove_unused(old)) continue;
      count(old.name, -1);
      forget(place, old.name, true);
      metrics_.evicts.add();
    }
  }
}

// ---- Looking after the directories

void DiskCache::look_after() {
  for (size_t place = 0; place < files_->size(); place++) look_after(place, true);
}

void DiskCache::look_after(size_t place, bool check_identity) {
  tend(place, check_identity);
  if (check_identity) open_.drop_removed();
  files_->refresh();
}

void DiskCache::tend(size_t place, bool check_identity) {
  CacheDir& files = (*files_)[place];
  DiskHealth& health = files.health();
  const bool probe = health.tick();
  if (probe) {
    bool emptied = false;
    Status same = files.check_identity(&emptied);
    health.probed(same ? files.probe() : same.error().code);
  }
  if (!health.usable()) return;
  if (check_identity) {
    bool emptied = false;
    Status same = files.check_identity(&emptied);
    if (!same && same.error().code == ENODEV) return health.set_down(same.error().to_string());
    if (emptied) log::warning("cache directory " + files.path() + " was removed, and is made again");
  }
  files.refresh_space();
  if (is_over(*dirs_[place]) || files.is_full()) evict(place, files.bytes_to_free(), files.inodes_to_free());
  expire(place);
}

void DiskCache::run(size_t place, const std::stop_token& stop) {
  constexpr int kIdentity = 10;  // seconds
  for (int second = 1; interruptible_sleep(Seconds(1), stop); second++)
    look_after(place, second % kIdentity == 0);
}

void DiskCache::run_scans(const std::stop_token& stop) {
  do {
    rescan();
  } while (options_.cache.scan_interval.count() > 0 &&
           interruptible_sleep(options_.cache.scan_interval, stop));
}

void DiskCache::rescan() {
  for (size_t place = 0; place < files_->size() && !stopping_.stop_requested(); place++) scan(place);
}

void DiskCache::scan(size_t place) {
  CacheDir& files = (*files_)[place];
  Dir& dir = *dirs_[place];
  if (!files.health().usable() || dir.scanning.exchange(true)) return;
  const auto began = Monotonic::now();
  dir.index.begin_scan();
  Status status = files.scan(files.raw_folder(), [&](const BlockName& block, std::string_view) {
    if (dir.index.see(block)) count(block, 1);
    return !stopping_.stop_requested();
  });
  if (status && !stopping_.stop_requested()) {
    for (const BlockName& gone : dir.index.end_scan()) {
      count(gone, -1);
      open_.drop(gone);
    }
  }
  dir.scanning = false;
  if (!status) return log::warning("cache directory " + files.path() + ": " + status.error().to_string());
  log::info("cache directory " + files.path() + ": " + std::to_string(dir.index.blocks()) +
            " blocks found in " +
            std::to_string(std::chrono::duration_cast<Millis>(Monotonic::now() - began).count()) + " ms");
}

}  // namespace cider::chunk
