#include "vfs/tree_walk.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace cider::vfs {
namespace {

using meta::ListedEntry;

constexpr size_t kThreads = 8;

class TreeWalk {
 public:
  TreeWalk(meta::Meta& meta, const Caller& caller, bool recursive,
           const std::function<Status(const ListedEntry&)>& visit)
      : meta_(meta), caller_(caller), recursive_(recursive), visit_(visit) {}

  Status run(Ino dir) {
    waiting_.push_back(dir);
    work();
    threads_.clear();  // joins
    return std::move(outcome_);
  }

 private:
  void work() {
    while (const std::optional<Ino> dir = take()) {
      Status done = for_each_entry(meta_, caller_, *dir, [&](const ListedEntry& entry) -> Status {
        TRY(visit_(entry));
        // A directory that says it lies elsewhere is a damaged record, and may lead round in a circle.
        if (recursive_ && entry.attr->is_dir() && entry.attr->parent == *dir) add(entry.entry.ino);
        return {};
      });
      finish(std::move(done));
    }
  }

  // The directory found last, so that few wait; nothing when all is done.
  std::optional<Ino> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() || busy_ == 0; });
    if (waiting_.empty()) return std::nullopt;
    const Ino dir = waiting_.back();
    waiting_.pop_back();
    ++busy_;
    return dir;
  }

  void add(Ino dir) {
    std::lock_guard lock(mutex_);
    if (!outcome_) return;
    waiting_.push_back(dir);
    // Helpers come only with the work: most walks are of one small directory.
    if (waiting_.size() > 1 && threads_.size() + 1 < kThreads) threads_.emplace_back([this] { work(); });
    changed_.notify_one();
  }

  void finish(Status done) {
    std::lock_guard lock(mutex_);
    --busy_;
    if (!done && outcome_) {
      outcome_ = std::move(done);
      waiting_.clear();
    }
    if (waiting_.empty() && busy_ == 0) changed_.notify_all();
  }

  meta::Meta& meta_;
  const Caller& caller_;
  const bool recursive_;
  const std::function<Status(const ListedEntry&)>& visit_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Ino> waiting_;
  size_t busy_ = 0;  // directories being listed
  Status outcome_;
  std::vector<std::jthread> threads_;
};

}  // namespace

Status walk_tree(meta::Meta& meta, const Caller& caller, Ino dir, bool recursive,
                 const std::function<Status(const ListedEntry&)>& visit) {
  return TreeWalk(meta, caller, recursive, visit).run(dir);
}

Status for_each_entry(meta::Meta& meta, const Caller& caller, Ino dir,
                      const std::function<Status(const ListedEntry&)>& visit) {
  constexpr size_t kPage = 1000;
  meta::DirCursor cursor;
  while (!cursor.at_end) {
    if (caller.interrupt.stop_requested()) return fail(EINTR);
    for (const ListedEntry& entry : TRY(meta.list_dir(dir, &cursor, kPage, true, caller.interrupt))) {
      if (entry.attr) TRY(visit(entry));
    }
  }
  return {};
}

}  // namespace cider::vfs
