// The listing of one open directory, page by page from the engine, in constant memory. Offsets count entries:
// the entry at position n goes on at n + 1.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/slow_lock.h"
#include "meta/store/store.h"

namespace cider::vfs {

// Thread-safe; calls of one listing wait for each other. While the pages of a long listing are handed out,
// the next one is read by another thread.
//
// Reading on is exact: each entry that stays is seen once. So is going back within the last two pages, which
// the kernel does when a caller's buffer was full. Farther back the listing is read again from a remembered
// cursor (or the beginning), and positions count the entries that are there then; offset 0 always begins
// anew.
class DirStream {
 public:
  // Reads the next page, as Meta::list_dir.
  using Fetch = std::function<Result<std::vector<meta::ListedEntry>>(
      meta::DirCursor* cursor, size_t limit, bool with_attrs, const std::stop_token& stop)>;
  struct Item {
    const meta::ListedEntry* entry;
    uint64_t next_offset;
    uint64_t moment;  // of `now` before the entry was read
    Monotonic::duration age;
  };

  // Does not wait longer than the engine takes to notice.
  ~DirStream();

  // `head` are entries that come first ("." and so on); `now` gives the moment for Item.
  DirStream(std::vector<meta::ListedEntry> head, Fetch fetch, std::function<uint64_t()> now);

  // Hands entries from `off` to `sink` until it returns false or the end. An entry that `sink` refuses is not
  // consumed. EINTR if `stop` is requested while the engine is asked.
  Status list(uint64_t off, bool with_attrs, const std::stop_token& stop,
              const std::function<bool(const Item&)>& sink);

 private:
  static constexpr size_t kFirstPage = 128;
  static constexpr size_t kPage = 2048;
  static constexpr size_t kMaxBookmarks = 64;

  struct Page {
    uint64_t first = 0;  // offset of its first entry
    uint64_t moment = 0;
    Monotonic::time_point since;  // not older than this
    std::vector<meta::ListedEntry> entries;
    uint64_t end() const { return first + entries.size(); }
  };
  // A page that is being read while the last one is handed out.
  struct Ahead {
    std::stop_source stop;
    meta::DirCursor cursor;
    std::future<Result<Page>> page;
  };
  struct Bookmark {
    uint64_t offset = 0;
    meta::DirCursor cursor;
  };

  void restart();
  // Makes `off` lie in pages_ or be the end of the listing.
  Status seek(uint64_t off, bool with_attrs, const std::stop_token& stop);
  Status fetch_page(bool with_attrs, const std::stop_token& stop);
  Result<Page> take_ahead(const std::stop_token& stop);
  void read_ahead(bool with_attrs);
  void drop_ahead();
  void bookmark();

  const Fetch fetch_;
  const std::function<uint64_t()> now_;
  SlowLock lock_;
  const std::vector<meta::ListedEntry> head_;
  std::deque<Page> pages_;  // the last two, adjoining
  meta::DirCursor cursor_;  // after pages_.back()
  uint64_t next_ = 0;       // offset of what the cursor brings next
  std::unique_ptr<Ahead> ahead_;
  size_t page_size_ = kFirstPage;
  std::vector<Bookmark> bookmarks_;
  size_t bookmark_every_ = 1;  // pages between bookmarks
  size_t since_bookmark_ = 0;
};

}  // namespace cider::vfs
