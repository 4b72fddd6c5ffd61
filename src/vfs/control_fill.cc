#include "vfs/control_fill.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/units.h"
#include "base/worker_pool.h"
#include "vfs/tree_walk.h"

namespace cider::vfs {
namespace {

using Json = nlohmann::ordered_json;
using Progress = std::function<void(uint64_t files, uint64_t bytes)>;

class FillRun {
 public:
  FillRun(meta::Meta& meta, chunk::CacheFill& fill, const Caller& caller, CacheAction action, int threads,
          const Progress& progress)
      : meta_(meta),
        fill_(fill),
        caller_(caller),
        action_(action),
        progress_(progress),
        most_waiting_(static_cast<size_t>(threads) * 4),
        workers_("warmup", threads) {}

  void add_tree(Ino ino, const meta::Attr& attr) {
    if (attr.is_file()) return add_file(ino, attr.length);
    if (!attr.is_dir()) return;
    Status walked = walk_tree(meta_, caller_, ino, true, [&](const meta::ListedEntry& entry) -> Status {
      if (entry.attr->is_file()) add_file(entry.entry.ino, entry.attr->length);
      return caller_.interrupt.stop_requested() ? fail(EINTR) : Status{};
    });
    if (!walked) log::warning("warmup of inode " + std::to_string(ino) + ": " + walked.error().to_string());
  }

  Json finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
    Json locations = Json::object();
    for (const auto& [where, bytes] : locations_) locations[where] = bytes;
    return {{"FileCount", files_},      {"SliceCount", slices_},  {"TotalBytes", bytes_},
            {"MissBytes", miss_bytes_}, {"Locations", locations}, {"FailedFiles", failed_}};
  }

 private:
  void add_file(Ino ino, uint64_t length) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return waiting_ < most_waiting_; });
      waiting_++;
    }
    workers_.submit([this, ino, length] {
      Status done = file(ino, length);
      if (!done && done.error().code != EINTR)
        log::warning("warmup of inode " + std::to_string(ino) + ": " + done.error().to_string());
      progress_(1, 0);
      std::lock_guard lock(mutex_);
      files_++;
      if (!done) failed_++;
      waiting_--;
      changed_.notify_all();
    });
  }

  Status file(Ino ino, uint64_t length) {
    Status first;
    for (uint64_t index = 0; index * kChunkSize < length; index++) {
      if (caller_.interrupt.stop_requested()) return fail(EINTR);
      for (const Slice& at : TRY(meta_.chunk(ino, static_cast<uint32_t>(index), caller_.interrupt))) {
        if (at.id == 0) continue;  // a hole
        if (Status done = slice(at); !done && first) first = done;
      }
    }
    return first;
  }

  Status slice(const Slice& at) {
    progress_(0, at.size);
    {
      std::lock_guard lock(mutex_);
      slices_++;
      bytes_ += at.size;
    }
    switch (action_) {
      case CacheAction::fill:
        return fill_.fill(at.id, at.size, caller_.interrupt);
      case CacheAction::evict:
        fill_.evict(at.id, at.size);
        return {};
      case CacheAction::check:
        fill_.check(at.id, at.size, [&](const std::string& where, uint32_t bytes) {
          std::lock_guard lock(mutex_);
          (where.empty() ? miss_bytes_ : locations_[where]) += bytes;
        });
        return {};
    }
    return {};
  }

  meta::Meta& meta_;
  chunk::CacheFill& fill_;
  const Caller& caller_;
  const CacheAction action_;
  const Progress& progress_;
  const size_t most_waiting_;

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t waiting_ = 0;
  uint64_t files_ = 0;
  uint64_t failed_ = 0;
  uint64_t slices_ = 0;
  uint64_t bytes_ = 0;
  uint64_t miss_bytes_ = 0;
  std::map<std::string, uint64_t> locations_;
  WorkerPool workers_;
};

// "inode:123" or a path from the root.
Result<meta::Node> find(meta::Meta& meta, const Caller& caller, Ino root, std::string_view path) {
  constexpr std::string_view kInode = "inode:";
  if (!path.starts_with(kInode)) return meta.resolve(caller, root, path);
  const auto ino = static_cast<Ino>(TRY(parse_integer(path.substr(kInode.size()))));
  const Ino inner = ino == kRootIno ? root : ino;
  return meta::Node{inner, TRY(meta.getattr(inner))};
}

}  // namespace

std::string fill_reply(meta::Meta& meta, chunk::CacheFill& fill, const Caller& caller, Ino root,
                       const FillCacheRequest& request, const Progress& progress) {
  FillRun run(meta, fill, caller, request.action, std::clamp<int>(request.threads, 1, 1000), progress);
  uint64_t absent = 0;
  for (const std::string& path : request.paths) {
    if (caller.interrupt.stop_requested()) break;
    Result<meta::Node> node = find(meta, caller, root, path);
    if (node) {
      run.add_tree(node->ino, node->attr);
    } else {
      log::warning("warmup of " + path + ": " + node.error().to_string());
      absent++;
    }
  }
  Json json = run.finish();
  json["FailedFiles"] = json["FailedFiles"].get<uint64_t>() + absent;
  return data_frame(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace cider::vfs
