#include "vfs/dir_stream.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace cider::vfs {
namespace {

using meta::ListedEntry;

// A directory sorted by name, with a cursor that is the last name given out.
struct Directory {
  std::mutex mutex;  // pages are read ahead by another thread
  std::map<std::string, Ino> entries;
  size_t fetches = 0;
  size_t largest_page = 0;
  std::set<std::thread::id> readers;

  size_t fetched() {
    std::lock_guard lock(mutex);
    return fetches;
  }
  void remove(const std::string& name) {
    std::lock_guard lock(mutex);
    entries.erase(name);
  }

  DirStream::Fetch fetch() {
    return [this](meta::DirCursor* cursor, size_t limit, bool,
                  const std::stop_token&) -> Result<std::vector<ListedEntry>> {
      std::lock_guard lock(mutex);
      ++fetches;
      readers.insert(std::this_thread::get_id());
      std::vector<ListedEntry> out;
      auto it = entries.upper_bound(cursor->position);
      for (; it != entries.end() && out.size() < limit; ++it)
        out.push_back({it->first, {it->second, {}}, {}});
      if (!out.empty()) cursor->position = out.back().name;
      cursor->at_end = it == entries.end();
      largest_page = std::max(largest_page, out.size());
      return out;
    };
  }
};

struct Numbered : Directory {
  explicit Numbered(int count) {
    for (int i = 0; i < count; ++i) {
      char name[16];
      snprintf(name, sizeof name, "f%07d", i);
      entries[name] = 100 + static_cast<Ino>(i);
    }
  }
};

DirStream stream(Directory& d) {
  return DirStream({{".", {1, meta::FileType::directory}, {}}, {"..", {1, meta::FileType::directory}, {}}},
                   d.fetch(), [] { return 0; });
}

// Up to `limit` names from *off, which moves on.
std::vector<std::string> take(DirStream& s, uint64_t* off, size_t limit) {
  std::vector<std::string> names;
  EXPECT_TRUE(s.list(*off, false, {}, [&](const DirStream::Item& item) {
    if (names.size() == limit) return false;
    names.push_back(item.entry->name);
    *off = item.next_offset;
    return true;
  }));
  return names;
}

TEST(DirStream, HundredThousandEntriesOnceEachInSmallPages) {
  Numbered d(100'000);
  DirStream s = stream(d);
  std::set<std::string> seen;
  uint64_t off = 0;
  for (;;) {
    const auto names = take(s, &off, 333);
    if (names.empty()) break;
    for (const auto& name : names) EXPECT_TRUE(seen.insert(name).second) << name;
  }
  EXPECT_EQ(seen.size(), 100'002u);
  EXPECT_LE(d.largest_page, 4096u);
}

TEST(DirStream, StepBackWithinTheLastReplyIsExactUnderRemovals) {
  Numbered d(5000);
  DirStream s = stream(d);
  uint64_t off = 0;
  const auto first = take(s, &off, 1000);
  for (int i = 0; i < 500; ++i) d.remove(first[static_cast<size_t>(i) + 2]);
  uint64_t back = 600;  // what the caller's buffer had no room for
  EXPECT_EQ(take(s, &back, 1).front(), first[600]);
}

TEST(DirStream, RemovingWhatWasListedLosesNothing) {
  Numbered d(20'000);
  DirStream s = stream(d);
  uint64_t off = 0;
  size_t seen = 0;
  for (;;) {
    const auto names = take(s, &off, 500);
    if (names.empty()) break;
    seen += names.size();
    for (const auto& name : names) d.remove(name);
  }
  EXPECT_EQ(seen, 20'002u);
  EXPECT_TRUE(d.entries.empty());
}

TEST(DirStream, RewindSeesWhatIsThereNow) {
  Numbered d(10);
  DirStream s = stream(d);
  uint64_t off = 0;
  EXPECT_EQ(take(s, &off, 100).size(), 12u);
  d.entries["new"] = 7;
  EXPECT_TRUE(take(s, &off, 100).empty());  // the end stays the end
  off = 0;
  EXPECT_EQ(take(s, &off, 100).size(), 13u);
}

TEST(DirStream, SeekFarBackUsesABookmark) {
  Numbered d(300'000);
  DirStream s = stream(d);
  uint64_t off = 0;
  while (!take(s, &off, 4000).empty()) {
  }
  const size_t before = d.fetched();
  uint64_t back = 150'002;
  EXPECT_EQ(take(s, &back, 1).front(), "f0150000");
  EXPECT_LE(d.fetched() - before, 10u);
  back = 5;
  EXPECT_EQ(take(s, &back, 1).front(), "f0000003");
}

TEST(DirStream, OffsetBeyondTheEndIsTheEnd) {
  Numbered d(10);
  DirStream s = stream(d);
  uint64_t off = 1'000'000;
  EXPECT_TRUE(take(s, &off, 10).empty());
}

TEST(DirStream, ErrorOfTheEngineIsTold) {
  DirStream s(
      {},
      [](meta::DirCursor*, size_t, bool, const std::stop_token&) -> Result<std::vector<ListedEntry>> {
        return fail(EIO);
      },
      [] { return 0; });
  EXPECT_EQ(code_of(s.list(0, false, {}, [](const DirStream::Item&) { return true; })), EIO);
}

TEST(DirStream, ALongListingIsReadAheadByAnotherThread) {
  Numbered d(10'000);
  DirStream s = stream(d);
  uint64_t off = 0;
  while (!take(s, &off, 300).empty()) {
  }
  EXPECT_EQ(off, 10'002u);
  EXPECT_GT(d.readers.size(), 1u);
  Numbered few(500);
  DirStream short_one = stream(few);
  off = 0;
  while (!take(short_one, &off, 300).empty()) {
  }
  EXPECT_EQ(few.readers.size(), 1u);
}

// An engine that is away while a page is read ahead.
struct Away {
  std::mutex mutex;
  std::condition_variable_any back;
  bool here = true;

  DirStream::Fetch around(DirStream::Fetch fetch) {
    return [this, fetch](meta::DirCursor* cursor, size_t limit, bool attrs,
                         const std::stop_token& stop) -> Result<std::vector<ListedEntry>> {
      std::unique_lock lock(mutex);
      if (!back.wait(lock, stop, [&] { return here; })) return fail(EINTR);
      return fetch(cursor, limit, attrs, stop);
    };
  }
  void set(bool value) {
    std::lock_guard lock(mutex);
    here = value;
    back.notify_all();
  }
};

TEST(DirStream, WaitingForThePageAheadCanBeInterrupted) {
  Numbered d(20'000);
  Away engine;
  DirStream s({}, engine.around(d.fetch()), [] { return 0; });
  uint64_t off = 0;
  std::set<std::string> seen;
  const auto read_on = [&](const std::stop_token& stop) {
    return s.list(off, false, stop, [&](const DirStream::Item& item) {
      EXPECT_TRUE(seen.insert(item.entry->name).second) << item.entry->name;
      if (seen.size() == 2688) engine.set(false);  // the last entry before a page that is read ahead
      off = item.next_offset;
      return true;
    });
  };
  std::stop_source stop;
  stop.request_stop();
  const Status interrupted = read_on(stop.get_token());
  engine.set(true);
  if (!interrupted) {
    EXPECT_EQ(interrupted.error().code, EINTR);
  }
  EXPECT_TRUE(read_on({}));
  EXPECT_EQ(seen.size(), 20'000u);
}

TEST(DirStream, AListingThatIsGivenUpDoesNotWaitForTheEngine) {
  Numbered d(20'000);
  Away engine;
  {
    DirStream s({}, engine.around(d.fetch()), [] { return 0; });
    uint64_t off = 0;
    take(s, &off, 700);
    engine.set(false);
    take(s, &off, 300);
  }
  SUCCEED();
}

// As Redis does it: the cursor holds what is moved along.
TEST(DirStream, GoesBackFarInAListingWhoseStateMovesOn) {
  Numbered d(10'000);
  const DirStream::Fetch by_name = d.fetch();
  DirStream s(
      {},
      [&](meta::DirCursor* cursor, size_t limit, bool attrs, const std::stop_token& stop) {
        if (!cursor->state) cursor->state = std::make_shared<meta::DirCursor>();
        auto* moving = static_cast<meta::DirCursor*>(cursor->state.get());
        auto page = by_name(moving, limit, attrs, stop);
        cursor->at_end = moving->at_end;
        return page;
      },
      [] { return 0; });
  uint64_t off = 0;
  const auto all = take(s, &off, d.entries.size());
  off = 1000;
  EXPECT_EQ(take(s, &off, 3), std::vector<std::string>(all.begin() + 1000, all.begin() + 1003));
}

}  // namespace
}  // namespace cider::vfs
