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

}  // namespace

// A range that is being or has been fetched. All but `range` and the bytes of a running fetch is guarded by
// the mutex.
struct Fetcher::Fetch {
  enum class State { queued, running, done, failed };

  SliceRange range;  // within one block
  Buffer buffer;
  State state = State::queued;
  Error error;
  bool ahead = false;  // nobody waited for it when it began
  bool in_table = true;
  uint32_t read = 0;  // bytes handed out
  int waiters = 0;
  uint64_t age = 0;
  std::list<FetchPtr>* list = nullptr;
  std::list<FetchPtr>::iterator place;
  std::condition_variable_any finished;

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

Status Fetcher::read(std::span<const SliceRange> wanted, BufferChain& out, bool& late, std::stop_token stop) {
  while (true) {
    std::vector<Use> uses;
    std::vector<FetchPtr> mine;
    TRY(plan(wanted, uses, mine, late, stop));
    // The first of mine runs here, the others at the same time on other threads, unless this one comes to
    // them first.
    for (size_t i = 1; i < mine.size(); i++) submit_fetch(mine[i]);
    Status status;
    bool again = false;
    for (const Use& use : uses) {
      status = finish(use.fetch, stop);
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
    std::lock_guard lock(mutex_);
    for (const Use& use : uses) {
      out.push_back(use.fetch->buffer.slice(use.off, use.len));
      use.fetch->read += use.len;
      keep(use.fetch);
    }
    return {};
  }
}

// Finds who fetches what, and begins fetches for the rest with memory taken all at once, so that nobody waits
// for more memory while holding some.
Status Fetcher::plan(std::span<const SliceRange> wanted, std::vector<Use>& uses, std::vector<FetchPtr>& mine,
                     bool& late, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    std::vector<SliceRange> gaps;
    size_t bytes = 0;
    for (const SliceRange& range : wanted) {
      for (const SliceRange& gap : missing(range)) {
        gaps.push_back(gap);
        bytes += gap.len;
      }
    }
    while (bytes > 0 && !may_take(bytes) && evict_one()) {
    }
    if (bytes == 0 || may_take(bytes)) {
      // Asked again, as one read may want the same bytes of a slice twice (copies within a file share
      // slices).
      for (const SliceRange& gap : gaps) {
        for (const SliceRange& piece : missing(gap)) mine.push_back(create(piece, false));
      }
      for (const SliceRange& range : wanted) add_uses(range, uses);
      for (const Use& use : uses) late |= use.fetch->ahead && use.fetch->state != Fetch::State::done;
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

bool Fetcher::may_take(size_t bytes) const {
  size_t held = memory_.used();
  return held == 0 || budget_.has_room(bytes) ||
         static_cast<double>(held + bytes) <= kFloor * static_cast<double>(budget_.limit());
}

// What of `range` is in nobody's fetch, cut at the borders of blocks and of steps.
std::vector<SliceRange> Fetcher::missing(const SliceRange& range) const {
  std::vector<SliceRange> gaps;
  const uint32_t block = blocks_.layout().block_size;
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
      uint64_t border = uint64_t{at} - in_block +
                        std::min<uint64_t>(block, (in_block / options_.step + 1) * uint64_t{options_.step});
      // A short read across a border of steps, but not of blocks, stays in one piece.
      if (gap_end - at <= options_.step) border = uint64_t{at} - in_block + block;
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
  table_.emplace(Key{range.id, range.off}, fetch);
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
  std::lock_guard lock(mutex_);
  for (const SliceRange& range : ranges) {
    for (const SliceRange& gap : missing(range)) {
      if (starving_ > 0 || !budget_.has_room(gap.len, kAheadShare)) return;
      submit_fetch(create(gap, true));
    }
  }
}

// Waits until `fetch` has ended, or runs it if nobody has begun.
Status Fetcher::finish(const FetchPtr& fetch, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    switch (fetch->state) {
      case Fetch::State::done:
        return {};
      case Fetch::State::failed:
        return fail(fetch->error);
      case Fetch::State::queued:
        fetch->state = Fetch::State::running;
        lock.unlock();
        run(fetch, stop);
        lock.lock();
        if (fetch->state == Fetch::State::queued) return fail(EINTR);
        break;
      case Fetch::State::running:
        fetch->waiters++;
        bool ended = fetch->finished.wait(lock, stop, [&] { return fetch->state != Fetch::State::running; });
        fetch->waiters--;
        if (!ended) return fail(EINTR);
        break;
    }
  }
}

// Fetches a range that the caller has set to running.
void Fetcher::run(const FetchPtr& fetch, std::stop_token stop) {
  std::span<std::byte> out(fetch->buffer.mutable_data(), fetch->range.len);
  Status status = get(*fetch, out, std::move(stop));
  std::lock_guard lock(mutex_);
  if (status) {
    fetch->state = Fetch::State::done;
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

Status Fetcher::get(const Fetch& fetch, std::span<std::byte> out, std::stop_token stop) {
  const SliceRange& range = fetch.range;
  Backoff backoff(std::chrono::milliseconds(50), std::chrono::seconds(2));
  const int tries = fetch.ahead ? 1 : options_.tries;
  for (int attempt = 1;; attempt++) {
    Status status = blocks_.read(range.id, range.size, range.off, out, stop);
    if (status || status.error().code == ENOENT || status.error().code == EINTR) return status;
    if (blocks_.is_damaged(range.id, range.size, range.off)) return fail(ENODATA, status.error().message);
    if (attempt >= tries) return status;
    log::warning("read failed, will try again: " + status.error().to_string());
    TRY(backoff.pause(stop));
  }
}

// Puts a fetched range where it can be evicted: as read ahead, or as read.
void Fetcher::keep(const FetchPtr& fetch) {
  if (!fetch->in_table) return;
  fetch->age = age_;
  bool still_wanted = fetch->ahead && fetch->read < fetch->range.len;
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
