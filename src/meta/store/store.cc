#include "meta/store/store.h"

namespace cider::meta {

std::string_view counter_name(Counter counter) {
  switch (counter) {
    case Counter::next_inode:
      return "nextInode";
    case Counter::next_chunk:
      return "nextChunk";
    case Counter::next_session:
      return "nextSession";
    case Counter::next_trash:
      return "nextTrash";
    case Counter::used_space:
      return "usedSpace";
    case Counter::total_inodes:
      return "totalInodes";
    case Counter::last_cleanup_sessions:
      return "lastCleanupSessions";
    case Counter::last_cleanup_files:
      return "lastCleanupFiles";
    case Counter::last_cleanup_trash:
      return "lastCleanupTrash";
    case Counter::next_cleanup_slices:
      return "nextCleanupSlices";
  }
  return "";
}

}  // namespace cider::meta
