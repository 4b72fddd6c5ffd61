#include "vfs/dir_stream.h"

#include <algorithm>
#include <chrono>
#include <system_error>

namespace cider::vfs {

DirStream::DirStream(std::vector<meta::ListedEntry> head, Fetch fetch, std::function<uint64_t()> now)
    : fetch_(std::move(fetch)), now_(std::move(now)), head_(std::move(head)) {
  restart();
}

DirStream::~DirStream() {
  drop_ahead();
}

void DirStream::restart() {
  drop_ahead();
  pages_.clear();
  cursor_ = {};
  next_ = head_.size();
  page_size_ = kFirstPage;
  bookmarks_.clear();
  bookmark_every_ = 1;
  since_bookmark_ = 0;
}

// Remembers where the next page begins. When there are too many bookmarks, every second one goes. An engine's
// state moves on with the listing, and cannot be gone back to.
void DirStream::bookmark() {
  if (cursor_.state) return;
  if (!bookmarks_.empty() && (next_ <= bookmarks_.back().offset || ++since_bookmark_ < bookmark_every_))
    return;
  since_bookmark_ = 0;
  bookmarks_.push_back({next_, cursor_});
  if (bookmarks_.size() < kMaxBookmarks) return;
  size_t kept = 0;
  for (size_t i = 0; i < bookmarks_.size(); i += 2) bookmarks_[kept++] = std::move(bookmarks_[i]);
  bookmarks_.resize(kept);
  bookmark_every_ *= 2;
}

Status DirStream::fetch_page(bool with_attrs, const std::stop_token& stop) {
  bookmark();
  Page page;
  if (ahead_) {
    page = TRY(take_ahead(stop));
  } else {
    page.moment = now_();
    page.since = Monotonic::now();
    page.entries = TRY(fetch_(&cursor_, page_size_, with_attrs, stop));
  }
  page.first = next_;
  next_ = page.end();
  if (!page.entries.empty()) pages_.push_back(std::move(page));
  if (pages_.size() > 2) pages_.pop_front();
  const bool is_long = page_size_ == kPage;
  page_size_ = std::min(page_size_ * 4, kPage);
  if (is_long && !cursor_.at_end) read_ahead(with_attrs);
  return {};
}

// The engine's answer to the thread that reads ahead is waited for here, but not by a caller that gives up.
Result<DirStream::Page> DirStream::take_ahead(const std::stop_token& stop) {
  constexpr auto kLook = std::chrono::milliseconds(50);
  while (ahead_->page.wait_for(kLook) != std::future_status::ready) {
    if (stop.stop_requested()) return fail(EINTR);
  }
  const std::unique_ptr<Ahead> done = std::move(ahead_);
  Page page = TRY(done->page.get());
  cursor_ = done->cursor;
  return page;
}

void DirStream::read_ahead(bool with_attrs) {
  auto ahead = std::make_unique<Ahead>(Ahead{.stop = {}, .cursor = cursor_, .page = {}});
  const auto read = [this, with_attrs, cursor = &ahead->cursor,
                     stop = ahead->stop.get_token()]() -> Result<Page> {
    Page page{.moment = now_(), .since = Monotonic::now(), .entries = {}};
    page.entries = TRY(fetch_(cursor, kPage, with_attrs, stop));
    return page;
  };
  try {
    ahead->page = std::async(std::launch::async, read);
  } catch (const std::system_error&) {
    return;  // no thread to be had: the page is read when it is asked for
  }
  ahead_ = std::move(ahead);
}

// The future's end waits for its thread.
void DirStream::drop_ahead() {
  if (ahead_) ahead_->stop.request_stop();
  ahead_.reset();
}

Status DirStream::seek(uint64_t off, bool with_attrs, const std::stop_token& stop) {
  if (!pages_.empty() && off < pages_.front().first) {
    const auto after = std::ranges::upper_bound(bookmarks_, off, {}, &Bookmark::offset);
    drop_ahead();
    pages_.clear();
    if (after == bookmarks_.begin()) {
      restart();
    } else {
      cursor_ = std::prev(after)->cursor;
      next_ = std::prev(after)->offset;
    }
  }
  while (off >= next_ && !cursor_.at_end) TRY(fetch_page(with_attrs, stop));
  return {};
}

Status DirStream::list(uint64_t off, bool with_attrs, const std::stop_token& stop,
                       const std::function<bool(const Item&)>& sink) {
  const auto lock = TRY(lock_.lock(stop));
  if (off == 0) restart();
  for (; off < head_.size(); ++off) {
    if (!sink({&head_[off], off + 1, now_(), {}})) return {};
  }
  for (;;) {
    TRY(seek(off, with_attrs, stop));
    const auto page =
        std::ranges::find_if(pages_, [&](const Page& p) { return off >= p.first && off < p.end(); });
    if (page == pages_.end()) return {};
    const Monotonic::duration age = Monotonic::now() - page->since;
    for (; off < page->end(); ++off) {
      if (!sink({&page->entries[off - page->first], off + 1, page->moment, age})) return {};
    }
  }
}

}  // namespace cider::vfs
