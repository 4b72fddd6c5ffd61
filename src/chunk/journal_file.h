// The file of a staging journal (staging_journal.h): space that was written before, and which of its segments
// may be written again.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "chunk/journal_format.h"

namespace cider::chunk {

struct JournalOptions {
  uint64_t segment = 16 << 20;   // bytes, in whole pages
  size_t segments = 4;           // 0: there is no journal
  uint64_t largest = 512 << 10;  // bytes of a block; for larger ones a second copy costs more than a sync
};

// Written by one thread at a time; the others of its functions may be called meanwhile.
class JournalFile {
 public:
  JournalFile(std::string path, const JournalOptions& options)
      : path_(std::move(path)), options_(options), segments_(options.segments) {}

  // Makes it, with zeros. EINTR on `stop`. Its name is to be synced by the caller.
  Status make(const std::stop_token& stop);

  // Places a record behind what is there; false: no segment is free. `block` is in it, if not null. The
  // record is needed until flush().
  Result<bool> add(JournalRecord& record, const BlockName* block);
  // Writes what was added; with `sync` it then survives a power loss.
  Status flush(bool sync);

  // The oldest segment that is full, when few are free. Its blocks are to be made safe, then it is given
  // back.
  struct Full {
    size_t segment = 0;
    std::vector<BlockName> blocks;
  };
  std::optional<Full> take_full();
  void give_back(const Full& full);
  bool is_short_of_room();
  // Those of all segments that are not given back; while nobody writes.
  std::vector<BlockName> blocks();
  // Whether a record of the block may be in the file: segments that were given back are as they were until
  // they are written again.
  bool mentions(const BlockName& block);

 private:
  enum class State { free, current, full, taken };
  struct Segment {
    State state = State::free;
    uint64_t generation = 0;
    std::vector<BlockName> blocks;
  };
  Status fill(const std::stop_token& stop);
  Result<bool> next_segment(size_t size);
  Status write();
  bool is_in_place() const;

  const std::string path_;
  const JournalOptions& options_;
  UniqueFd file_;
  uint64_t generation_ = 0;
  std::optional<size_t> current_;
  uint64_t written_ = 0;  // of the current segment
  uint64_t end_ = 0;      // with what was added since
  Buffer head_;
  std::vector<iovec> added_;

  std::mutex mutex_;  // guards the states
  std::vector<Segment> segments_;
};

}  // namespace cider::chunk
