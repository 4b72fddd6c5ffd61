#include "chunk/cache/cache_dirs.h"

#include "base/log.h"

namespace cider::chunk {

CacheDirs::CacheDirs(const std::vector<std::string>& dirs, const std::string& uuid,
                     const CacheDir::Options& common)
    : hash_prefix_(common.hash_prefix) {
  for (const std::string& dir : dirs) {
    CacheDir::Options options = common;
    options.path = dir;
    if (dir != "/") options.path += '/';
    options.path.append(uuid).append("/");
    auto opened = std::make_unique<CacheDir>(options);
    if (Status status = opened->open(); !status) {
      log::warning("cache directory " + dir + " is not used: " + status.error().to_string());
      continue;
    }
    if (opened->is_full()) log::warning("cache directory " + dir + ": less than --free-space-ratio is free");
    dirs_.push_back(std::move(opened));
  }
  refresh();
}

size_t CacheDirs::place(const BlockName& block) const {
  const View* view = view_.load(std::memory_order_acquire);
  if (view->places.empty()) return size();
  if (view->places.size() == 1) return view->places[0];
  return view->places[view->ring.at(BlockPath("", block, hash_prefix_))];
}

void CacheDirs::refresh() {
  std::lock_guard lock(mutex_);
  std::vector<size_t> usable;
  std::vector<std::string> ids;
  for (size_t i = 0; i < dirs_.size(); i++) {
    if (!dirs_[i]->health().usable()) continue;
    usable.push_back(i);
    ids.push_back(dirs_[i]->id());
  }
  const View* current = view_.load();
  if (current && current->places == usable) return;
  for (const auto& old : views_) {
    if (old->places == usable) return view_.store(old.get());
  }
  views_.push_back(std::make_unique<const View>(View{std::move(usable), DirRing(ids)}));
  view_.store(views_.back().get(), std::memory_order_release);
}

}  // namespace cider::chunk
