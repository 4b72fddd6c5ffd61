// What earlier runs have left in the directories.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "chunk/staging_item.h"

namespace cider::chunk {

// What an earlier run has left.
struct Staging::Left {
  Time modified;
  BlockName block;
  BlockForm form;
};

// Among our own processes one looks after what is left in a directory. JuiceFS knows no such lock.
bool Staging::lock_dir(size_t place) {
  const std::string path = (*dirs_)[place].path() + ".staging.lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  locks_[place] = std::move(file);
  return true;
}

// What mounts of the other kind have staged is taken over, too.
void Staging::recover(size_t place) {
  CacheDir& dir = (*dirs_)[place];
  journals_[place]->replay();
  std::vector<Left> found;
  for (const BlockForm form : {BlockForm::plain, BlockForm::sealed}) {
    if (dir.can_read(form)) find_left(dir, form, &found);
  }
  std::sort(found.begin(), found.end(), [](const Left& a, const Left& b) {
    return std::pair(to_nanos(a.modified), a.block) < std::pair(to_nanos(b.modified), b.block);
  });
  uint64_t bytes = 0;
  for (const Left& left : found) {
    bytes += left.block.bytes;
    take_over(place, left);
  }
  if (!found.empty())
    log::info(std::to_string(found.size()) + " staged blocks (" + std::to_string(bytes) +
              " bytes) found in " + dir.path());
  journals_[place]->start(options_.accept);
}

// Of one name the newest stays: staged by mounts with and without encryption, or by this process before it
// could look after the directory.
void Staging::take_over(size_t place, const Left& left) {
  const Turn turn(*this, left.block);
  CacheDir& dir = (*dirs_)[place];
  const BlockPath path = dir.staging(left.block, left.form);
  if (::access(path.c_str(), F_OK) != 0) return;
  const ItemPtr held = find(left.block);
  if (held) {
    if (held->place == place && held->form == left.form) return;
    if (to_nanos(held->added) >= to_nanos(left.modified)) {
      ::unlink(path.c_str());
      return;
    }
  }
  insert(left.block, place, left.form, left.modified, /*journaled=*/false, held);
  if (cache_ && left.form == dir.form()) cache_->staged(left.block, place, path.c_str());
}

void Staging::find_left(CacheDir& dir, BlockForm form, std::vector<Left>* found) {
  Status scanned = dir.scan(dir.staging_folder(form), [&](const BlockName& block, std::string_view path) {
    struct stat about{};
    if (::stat(std::string(path).c_str(), &about) != 0) return true;
    const Time modified = from_nanos(about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec);
    found->push_back({modified, block, form});
    return true;
  });
  if (!scanned) log::warning("looking for staged blocks: " + scanned.error().to_string());
}

}  // namespace cider::chunk
