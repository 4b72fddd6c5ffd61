#include "chunk/fetcher.h"

#include <algorithm>

#include "base/log.h"
#include "chunk/backoff.h"

namespace cider::chunk {
namespace {

// Reads always get this much of the budget, whatever writers hold.
constexpr double kFloor = 0.25;
// Reading ahead leaves the rest to writers and demand reads.
constexpr double kAheadShare = 0.75;
constexpr size_t kMostCached = 8 << 20;
// What a request holds in its driver beside the bytes asked for, at most; never more than these.
constexpr size_t kMostBuffered = 256 << 10;

// The memory that fetching so many bytes takes.
size_t memory_of(size_t bytes) {
  return bytes + std::min(bytes, kMostBuffered);
}

}  // namespace

// Waiters are told of what has come in steps of this size, at least.
constexpr uint32_t kArrivalStep = 128 << 10;
// Who needs only the front of a fetch that is longer by this much lets another thread run it.
constexpr uint32_t kWorthHandingOver = 256 << 10;
constexpr int kTriesOfDamaged = 2;

// A range that is being or has been fetched. All but `range` and the bytes beyond `arrived` is guarded by the
// mutex.
struct Fetcher::Fetch {
  enum class State { queued, running, done, failed };

  SliceRange range;  // within one block
  Buffer buffer;
  std::optional<BudgetCharge> request;  // what the driver will count, until it does
  State state = State::queued;
  Error error;
  bool ahead = false;      // nobody waited for it when it began
  uint32_t arrived = 0;    // so many bytes are there
  bool submitted = false;  // to the pool
  bool in_table = true;
  uint32_t read = 0;  // bytes handed out
  int waiters = 0;
  uint64_t age = 0;
  std::list<FetchPtr>* list = nullptr;
  std::list<FetchPtr>::iterator place;
  std::condition_variable_any finished;
  // Of whoever runs it.
  uint32_t told = 0;  // what `arrived` was last set to
  bool from_cache = false;

  uint32_t end() const { return range.off + range.len; }
};

Fetcher::Fetcher(BlockStore& blocks, MemoryBudget& budget, Options options)
    : blocks_(blocks),
      budget_(budget),
      memory_(budget.limit(), &budget),
      options_(options),
      cache_limit_(std::min(budget.limit() / 16, kMostCached)),
      pool_("cider-fetch", options.threads) {}

Fetcher::~Fetcher() {
  stop();
}

Status Fetcher::read(std::span<const SliceRange> wanted, bool sequential, BufferChain& out, bool& late,
                     std::stop_token stop) {
  if (read_near(wanted, out)) return {};
  while (true) {
    std::vector<Use> uses;
    std::vector<FetchPtr> mine;
    TRY(plan(wanted, sequential, uses, mine, late, stop));
    // The first of mine runs here, the others at the same time on other threads, unless this one comes to
    // them first.
    for (size_t i = 1; i < mine.size(); i++) submit_fetch(mine[i]);
    Status status;
    bool again = false;
    for (const Use& use : uses) {
      status = finish(use, stop);
      if (!status) {
        // Fetches ahead do not try hard, and who ran this one may have been interrupted, unlike us.
        std::lock_guard lock(mutex_);
        again = status.error().code == EINTR ? !stop.stop_requested() && !stop_.stop_requested()
                                             : use.fetch->ahead;
        break;
      }
    }
    if (!status) {
      abandon(mine);
      if (again) continue;
      return status;
    }
    {
      std::lock_guard lock(mutex_);
      hand_out(uses, out);
    }
    if (fills()) fill_from(uses);
    return {};
  }
}

// With the mutex.
void Fetcher::hand_out(std::span<const Use> uses, BufferChain& out) {
  for (const Use& use : uses) {
    out.push_back(use.fetch->buffer.slice(use.off, use.len));
    use.fetch->read += std::min(use.len, use.fetch->range.len - use.fetch->read);
    keep(use.fetch);
  }
}

// What came in part is fetched whole for the block cache.
void Fetcher::fill_from(std::span<const Use> uses) {
  for (const Use& use : uses) {
    const SliceRange& range = use.fetch->range;
    if (!use.fetch->ahead && range.len < block_of(range).bytes) fill(range);
  }
}

// Whether all of it is there, in fetches. With the mutex.
bool Fetcher::has_arrived(const SliceRange& range) const {
  uint32_t at = range.off;
  const uint32_t end = range.off + range.len;
  auto it = table_.upper_bound({range.id, at});
  if (it == table_.begin()) return false;
  for (--it; at < end; ++it) {
    if (it == table_.end() || it->first.first != range.id || it->first.second > at) return false;
    const Fetch& fetch = *it->second;
    const uint32_t to = std::min(end, fetch.end());
    if (to <= at || fetch.arrived < to - fetch.range.off) return false;
    at = to;
  }
  return true;
}

// From memory, though the block cache may have it by now, too: that is slower, and what was read ahead and
// nobody takes would keep its memory.
bool Fetcher::read_fetched(const SliceRange& part, BufferChain& out) {
  if (fetches_.load(std::memory_order_relaxed) == 0) return false;
  std::vector<Use> uses;
  {
    std::lock_guard lock(mutex_);
    if (!has_arrived(part)) return false;
    add_uses(part, uses);
    hand_out(uses, out);
  }
  if (fills()) fill_from(uses);
  return true;
}

bool Fetcher::read_cached(const SliceRange& part, BufferChain& out) {
  BlockCache* const cache = blocks_.cache();
  if (!cache) return false;
  const BlockName block = block_of(part);
  if (!cache->contains(block) || !may_take(part.len)) return false;
  Buffer buffer = Buffer::allocate(part.len, &memory_);
  if (!cache->read(block, part.off % blocks_.layout().block_size, {buffer.mutable_data(), part.len}))
    return false;
  out.push_back(std::move(buffer));
  return true;
}

// Reads what is all in memory or in the block cache.
bool Fetcher::read_near(std::span<const SliceRange> wanted, BufferChain& out) {
  const size_t before = out.size();
  bool read = true;
  for (const SliceRange& range : wanted) {
    each_part(range, [&](const SliceRange& part) {
      read = read && (read_fetched(part, out) || read_cached(part, out));
    });
    if (read) continue;
    out.resize(before);
    return false;
  }
  return true;
}

// Finds who fetches what, and begins fetches for the rest with memory taken all at once, so that nobody waits
// for more memory while holding some.
Status Fetcher::plan(std::span<const SliceRange> wanted, bool sequential, std::vector<Use>& uses,
                     std::vector<FetchPtr>& mine, bool& late, std::stop_token stop) {
  const std::vector<SliceRange> parts = parts_of(wanted);
  const std::vector<bool> cached = in_cache(parts);
  std::unique_lock lock(mutex_);
  std::vector<SliceRange> covers;  // with whole blocks where that is the better way
  for (size_t i = 0; i < parts.size(); i++) {
    covers.push_back(!cached[i] && wants_whole(parts[i], sequential) ? whole_block(parts[i]) : parts[i]);
  }
  std::span<const SliceRange> ask(covers);
  while (true) {
    std::vector<SliceRange> gaps;
    size_t bytes = 0;
    for (const SliceRange& range : ask) {
      for (const SliceRange& gap : missing(range)) {
        gaps.push_back(gap);
        bytes += memory_of(gap.len);
      }
    }
    const bool whole = ask.data() == covers.data();
    const bool fits = bytes == 0 || (whole ? has_room(bytes) : may_take(bytes));
    // What gives way may be a part of what is wanted, so the gaps are looked for again.
    if (!fits && evict_one()) continue;
    if (!fits && whole) {
      ask = wanted;  // memory is short: no more than what must be
      continue;
    }
    if (fits) {
      // Asked again, as one read may want the same bytes of a slice twice (copies within a file share
      // slices).
      for (const SliceRange& gap : gaps) {
        for (const SliceRange& piece : missing(gap)) mine.push_back(create(piece, false));
      }
      for (const SliceRange& range : wanted) add_uses(range, uses);
      for (const Use& use : uses) late |= use.fetch->ahead && use.fetch->arrived < use.off + use.len;
      return {};
    }
    starving_++;
    lock.unlock();
    Status room = budget_.wait_until([&] { return may_take(bytes); }, stop);
    lock.lock();
    starving_--;
    if (!room) return room;
  }
}

bool Fetcher::has_room(size_t bytes) const {
  return budget_.has_room(bytes) ||
         static_cast<double>(memory_.used() + bytes) <= kFloor * static_cast<double>(budget_.limit());
}

// A read that alone is more than there is goes on all the same.
bool Fetcher::may_take(size_t bytes) const {
  return memory_.used() == 0 || has_room(bytes);
}

// Which blocks of `parts`, each in one block, the cache has. Without the mutex: it may ask a disk.
std::vector<bool> Fetcher::in_cache(std::span<const SliceRange> parts) const {
  std::vector<bool> cached(parts.size(), false);
  BlockCache* const cache = blocks_.cache();
  for (size_t i = 0; cache && i < parts.size(); i++) cached[i] = cache->contains(block_of(parts[i]));
  return cached;
}

// What of `range` is in nobody's fetch, cut at the borders of blocks, and of steps where blocks need not be
// whole.
std::vector<SliceRange> Fetcher::missing(const SliceRange& range) const {
  std::vector<SliceRange> gaps;
  const uint32_t block = blocks_.layout().block_size;
  const uint32_t step = fills() || blocks_.layout().whole_objects ? block : options_.step;
  const uint32_t end = range.off + range.len;
  uint32_t at = range.off;
  auto it = table_.upper_bound({range.id, at});
  if (it != table_.begin()) {
    const Fetch& before = *std::prev(it)->second;
    if (before.range.id == range.id) at = std::max(at, std::min(end, before.end()));
  }
  while (at < end) {
    bool follows = it != table_.end() && it->first.first == range.id && it->first.second < end;
    uint32_t gap_end = follows ? it->first.second : end;
    while (at < gap_end) {
      uint32_t in_block = at % block;
      uint64_t border =
          uint64_t{at} - in_block + std::min<uint64_t>(block, (in_block / step + 1) * uint64_t{step});
      // A short read across a border of steps, but not of blocks, stays in one piece.
      if (gap_end - at <= step) border = uint64_t{at} - in_block + block;
      auto to = static_cast<uint32_t>(std::min<uint64_t>(gap_end, border));
      gaps.push_back({range.id, range.size, at, to - at});
      at = to;
    }
    if (follows) at = std::min(end, (it++)->second->end());
  }
  return gaps;
}

void Fetcher::add_uses(const SliceRange& range, std::vector<Use>& uses) const {
  uint32_t at = range.off;
  const uint32_t end = range.off + range.len;
  auto it = std::prev(table_.upper_bound({range.id, at}));
  while (at < end) {
    const FetchPtr& fetch = (it++)->second;
    uint32_t to = std::min(end, fetch->end());
    uses.push_back({fetch, at - fetch->range.off, to - at});
    at = to;
  }
}

Fetcher::FetchPtr Fetcher::create(const SliceRange& range, bool ahead) {
  auto fetch = std::make_shared<Fetch>();
  fetch->range = range;
  fetch->ahead = ahead;
  fetch->age = age_;
  fetch->buffer = Buffer::allocate(range.len, &memory_);
  fetch->request.emplace(&memory_, memory_of(range.len) - range.len);
  table_.emplace(Key{range.id, range.off}, fetch);
  fetches_.store(table_.size(), std::memory_order_relaxed);
  return fetch;
}

void Fetcher::submit_fetch(const FetchPtr& fetch) {
  pool_.submit([this, fetch] {
    {
      std::lock_guard lock(mutex_);
      if (fetch->state != Fetch::State::queued) return;
      fetch->state = Fetch::State::running;
    }
    run(fetch, stop_.get_token());
  });
}

void Fetcher::prefetch(std::span<const SliceRange> ranges) {
  const std::vector<SliceRange> parts = parts_of(ranges);
  const std::vector<bool> cached = in_cache(parts);
  const bool whole = fills() || blocks_.layout().whole_objects;
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < parts.size(); i++) {
    if (cached[i]) continue;  // read when asked for: it is near
    for (const SliceRange& gap : missing(whole ? whole_block(parts[i]) : parts[i])) {
      if (starving_ > 0 || !budget_.has_room(memory_of(gap.len), kAheadShare)) return;
      submit_fetch(create(gap, true));
    }
  }
}

// Waits until the bytes of `use` are there, or runs the fetch if nobody has begun.
Status Fetcher::finish(const Use& use, std::stop_token stop) {
  const FetchPtr& fetch = use.fetch;
  const uint32_t needed = use.off + use.len;
  std::unique_lock lock(mutex_);
  while (fetch->arrived < needed) {
    switch (fetch->state) {
      case Fetch::State::done:
        return fail(EIO, "a fetch ended early");
      case Fetch::State::failed:
        return fail(fetch->error);
      case Fetch::State::queued:
        if (fetch->range.len - needed >= kWorthHandingOver && !fetch->submitted) {
          submit_fetch(fetch);
          fetch->submitted = true;
        }
        if (fetch->submitted && fetch->range.len - needed >= kWorthHandingOver) {
          TRY(await(*fetch, needed, lock, stop));
          break;
        }
        fetch->state = Fetch::State::running;
        lock.unlock();
        run(fetch, stop);
        lock.lock();
        if (fetch->state == Fetch::State::queued) return fail(EINTR);
        break;
      case Fetch::State::running:
        TRY(await(*fetch, needed, lock, stop));
        break;
    }
  }
  return {};
}

// Waits until `needed` bytes of a fetch that somebody else runs are there, or it has come to its end.
Status Fetcher::await(Fetch& fetch, uint32_t needed, std::unique_lock<std::mutex>& lock,
                      std::stop_token stop) {
  fetch.waiters++;
  const bool told = fetch.finished.wait(lock, std::move(stop), [&] {
    return fetch.arrived >= needed || fetch.state == Fetch::State::done ||
           fetch.state == Fetch::State::failed;
  });
  fetch.waiters--;
  if (!told) return fail(EINTR);
  return {};
}

// Fetches a range that the caller has set to running.
void Fetcher::run(const FetchPtr& fetch, std::stop_token stop) {
  fetch->request.reset();
  Status status = get(fetch, std::move(stop));
  if (status) offer_block(*fetch);
  std::lock_guard lock(mutex_);
  if (status) {
    fetch->state = Fetch::State::done;
    fetch->arrived = fetch->range.len;
    keep(fetch);
    while (starving_ > 0 && evict_one()) {
    }
  } else if (status.error().code == EINTR && fetch->waiters > 0 && !stop_.stop_requested()) {
    // One reader was interrupted; the others still want the data.
    fetch->state = Fetch::State::queued;
    submit_fetch(fetch);
  } else {
    fetch->state = Fetch::State::failed;
    fetch->error = std::move(status).error();
    forget(fetch);
  }
  fetch->finished.notify_all();
}

// Goes on where an earlier try has broken off: what has arrived may have been handed out.
Status Fetcher::get(const FetchPtr& fetch, std::stop_token stop) {
  const SliceRange& range = fetch->range;
  const uint32_t begin = range.off % blocks_.layout().block_size;
  Backoff backoff(std::chrono::milliseconds(50), std::chrono::seconds(2));
  const int tries = fetch->ahead ? 1 : options_.tries;
  for (int attempt = 1;; attempt++) {
    uint32_t have;
    {
      std::lock_guard lock(mutex_);
      have = fetch->arrived;
    }
    std::span<std::byte> rest(fetch->buffer.mutable_data() + have, range.len - have);
    const auto began = Monotonic::now();
    std::optional<Monotonic::time_point> first;
    const auto arrived = [&](size_t bytes) {
      if (!first) first = Monotonic::now();
      note_arrived(*fetch, have + static_cast<uint32_t>(bytes));
    };
    Status status = blocks_.read_block(block_of(range), begin + have, rest, arrived, fetch->from_cache, stop);
    if (status) {
      const auto ended = Monotonic::now();
      if (!fetch->from_cache) speed_.note(rest.size(), first.value_or(ended) - began, ended - began);
      return status;
    }
    const int code = status.error().code;
    if (code == ENOENT || code == EINTR) return status;
    // Altered on the way it may come right the next time.
    const bool damaged = code == EBADMSG ? attempt >= kTriesOfDamaged
                                         : blocks_.is_damaged(range.id, range.size, range.off, stop);
    if (damaged) {
      log::error("data can't be read: " + status.error().to_string());
      return fail(ENODATA, status.error().message);
    }
    if (attempt >= tries) {
      if (!fetch->ahead) log::error("data can't be read: " + status.error().to_string());
      return status;
    }
    log::warning("read failed, will try again: " + status.error().to_string());
    TRY(backoff.pause(stop));
  }
}

void Fetcher::note_arrived(Fetch& fetch, uint32_t bytes) {
  if (bytes < fetch.told + kArrivalStep && bytes < fetch.range.len) return;
  fetch.told = bytes;
  std::lock_guard lock(mutex_);
  fetch.arrived = bytes;
  if (fetch.waiters > 0) fetch.finished.notify_all();
}

void Fetcher::offer_block(const Fetch& fetch) {
  if (!fills() || fetch.from_cache) return;
  const BlockName block = block_of(fetch.range);
  if (fetch.range.len != block.bytes) return;
  blocks_.cache()->offer(block, {fetch.buffer},
                         fetch.ahead ? BlockCache::Origin::ahead : BlockCache::Origin::read);
}

// Puts a fetched range where it can be evicted: as read ahead, or as read.
void Fetcher::keep(const FetchPtr& fetch) {
  if (!fetch->in_table || fetch->state != Fetch::State::done) return;
  fetch->age = age_;
  const bool still_wanted = fetch->read < fetch->range.len;
  std::list<FetchPtr>* list = still_wanted ? &ahead_ : &cached_;
  if (fetch->list) {
    list->splice(list->end(), *fetch->list, fetch->place);
  } else {
    list->push_back(fetch);
  }
  if (list == &cached_ && fetch->list != &cached_) cached_bytes_ += fetch->range.len;
  fetch->place = std::prev(list->end());
  fetch->list = list;
  while (cached_bytes_ > cache_limit_) forget(FetchPtr(cached_.front()));
}

void Fetcher::forget(const FetchPtr& fetch) {
  if (!fetch->in_table) return;
  fetch->in_table = false;
  if (fetch->list == &cached_) cached_bytes_ -= fetch->range.len;
  if (fetch->list) fetch->list->erase(fetch->place);
  fetch->list = nullptr;
  table_.erase({fetch->range.id, fetch->range.off});
  fetches_.store(table_.size(), std::memory_order_relaxed);
}

bool Fetcher::evict_one() {
  auto& list = cached_.empty() ? ahead_ : cached_;
  if (list.empty()) return false;
  forget(FetchPtr(list.front()));
  return true;
}

void Fetcher::evict(size_t bytes) {
  std::lock_guard lock(mutex_);
  size_t before = memory_.used();
  while (before - memory_.used() < bytes && evict_one()) {
  }
}

bool Fetcher::age() {
  std::lock_guard lock(mutex_);
  for (auto* list : {&cached_, &ahead_}) {
    while (!list->empty() && list->front()->age < age_) forget(FetchPtr(list->front()));
  }
  age_++;
  return !table_.empty();
}

// Fetches of a read that ended early, which nobody may have begun.
void Fetcher::abandon(std::span<const FetchPtr> fetches) {
  std::lock_guard lock(mutex_);
  for (const FetchPtr& fetch : fetches) {
    if (fetch->state == Fetch::State::queued) forget(fetch);
  }
}

void Fetcher::stop() {
  stop_.request_stop();
  pool_.stop();
  std::lock_guard lock(mutex_);
  while (evict_one()) {
  }
}

}  // namespace cider::chunk
