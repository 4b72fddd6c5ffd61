#include "vfs/kernel_view.h"

#include <algorithm>

namespace cider::vfs {
namespace {

uint64_t fold(Time t) {
  return static_cast<uint64_t>(t.sec) * 1'000'000'007ull + t.nsec;
}

// A caller that has its answer may never show it: others read for it what it wants. By then it has it.
constexpr std::chrono::seconds kLongestDrop{2};

}  // namespace

KernelView::KernelView() : sets_(kSets) {}

KernelView::Version KernelView::version_of(const meta::Attr& attr) {
  return {fold(attr.mtime), fold(attr.ctime), attr.length};
}

KernelView::Known* KernelView::find(Ino ino) {
  Set& set = sets_[set_of(ino)];
  const auto it = std::ranges::find(set, ino, &Known::ino);
  if (it == set.end()) return nullptr;
  std::rotate(set.begin(), it, it + 1);
  return &set.front();
}

KernelView::Known* KernelView::find_or_add(Ino ino) {
  if (Known* known = find(ino)) return known;
  Set& set = sets_[set_of(ino)];
  std::rotate(set.begin(), set.end() - 1, set.end());
  set.front() = Known{.ino = ino};
  return &set.front();
}

void KernelView::told(Ino ino, const meta::Attr& attr) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find_or_add(ino);
  known->has_attr = true;
  known->attr = version_of(attr);
}

void KernelView::named(Ino ino, bool in_trash) {
  std::lock_guard lock(mutex_of(ino));
  find_or_add(ino)->in_trash = in_trash;
}

bool KernelView::named_outside_trash(Ino ino) {
  std::lock_guard lock(mutex_of(ino));
  const Known* known = find(ino);
  return known != nullptr && known->has_attr && !known->in_trash;
}

bool KernelView::knows(Ino ino, const meta::Attr& attr) {
  std::lock_guard lock(mutex_of(ino));
  const Known* known = find(ino);
  return known != nullptr && known->has_attr && known->attr == version_of(attr);
}

bool KernelView::is_dropping(const Known& known) {
  return known.dropping > 0 && std::chrono::steady_clock::now() < known.dropping_until;
}

bool KernelView::opened(Ino ino, const meta::Attr& attr) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find_or_add(ino);
  const Version version = version_of(attr);
  const bool current = known->has_pages && known->pages == version;
  if (current && !is_dropping(*known)) return true;
  known->has_pages = true;
  known->pages = version;
  ++known->dropping;
  if (!current) known->dropping_until = std::chrono::steady_clock::now() + kLongestDrop;
  return false;
}

void KernelView::dropped(Ino ino) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find(ino);
  if (known != nullptr && known->dropping > 0) --known->dropping;
}

void KernelView::not_dropped(Ino ino) {
  dropped(ino);
  distrust(ino);
}

void KernelView::refreshed(Ino ino, const meta::Attr& attr) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find_or_add(ino);
  known->has_pages = true;
  known->pages = version_of(attr);
}

void KernelView::moved(Ino ino, const meta::Attr& after) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find(ino);
  if (known != nullptr) known->attr = known->pages = version_of(after);
}

void KernelView::moved_by_write(Ino ino, const meta::Attr& before, const meta::Attr& after) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find(ino);
  if (known == nullptr) return;
  if (known->has_pages && known->pages != version_of(before)) {
    known->has_attr = known->has_pages = false;
    return;
  }
  known->attr = known->pages = version_of(after);
}

void KernelView::moved_ctime(Ino ino, const meta::Attr& after) {
  std::lock_guard lock(mutex_of(ino));
  Known* known = find(ino);
  if (known == nullptr) return;
  const Version version = version_of(after);
  for (Version* seen : {&known->attr, &known->pages}) {
    if (seen->mtime == version.mtime && seen->length == version.length) seen->ctime = version.ctime;
  }
}

bool KernelView::shows(Ino ino, const meta::Attr& attr) {
  std::lock_guard lock(mutex_of(ino));
  const Known* known = find(ino);
  return known != nullptr && known->has_pages && known->pages == version_of(attr) && !is_dropping(*known);
}

void KernelView::doubt_attr(Ino ino) {
  std::lock_guard lock(mutex_of(ino));
  if (Known* known = find(ino)) known->has_attr = false;
}

void KernelView::distrust(Ino ino) {
  std::lock_guard lock(mutex_of(ino));
  if (Known* known = find(ino)) known->has_pages = false;
}

}  // namespace cider::vfs
