// What the data path needs from metadata. vfs/ implements it with meta::Meta; tests with a map. chunk/ knows
// no more of meta/. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace cider::chunk {

// A slice whose blocks are in the store, to be appended to chunk `index` of a file. `at.off` is 0 and `at.len
// == at.size`.
struct NewSlice {
  uint32_t index = 0;
  Slice at;
};

// One file's part of a pack: a range of a slice of one block, which other files have parts of.
struct PackMember {
  Ino ino = 0;
  uint32_t index = 0;
  Slice at;  // the same id and size for all members
  Time mtime;
};

struct NewPack {
  std::vector<PackMember> members;
  // The catalog's own, about tries whose outcome is not known: goes with the pack to the next try.
  std::vector<bool> tried;
};

class SliceCatalog {
 public:
  virtual ~SliceCatalog() = default;

  // A slice id that no client of the volume has had. Cheap: ids are reserved in batches.
  virtual Result<uint64_t> next_slice_id() = 0;

  // The records of chunk `index`, oldest first (later ones cover earlier ones). `fresh` asks the engine, past
  // every cache. EINTR if `stop` is requested first.
  virtual Result<std::vector<Slice>> slices(Ino ino, uint32_t index, bool fresh,
                                            std::stop_token stop = {}) = 0;

  // The records of chunk 0 of several files at once, for reading ahead: as they are about now, and empty for
  // files that are not there.
  virtual Result<std::vector<std::vector<Slice>>> first_slices(std::span<const Ino> inos) = 0;

  // Appends slices in order, in one transaction, and makes the file at least as long as they reach. ENOENT if
  // the inode is gone (its data is then unwanted), ENOSPC/EDQUOT when the volume or a quota is full; these
  // and other errors mean that nothing was and will be committed. EIO, ETIMEDOUT, EAGAIN, EBUSY, EINTR,
  // ENOMEM and network errors mean that it is unclear: the same slices are committed again later, and the
  // catalog must then not append them twice.
  virtual Status commit(Ino ino, std::span<const NewSlice> slices, Time mtime) = 0;

  // The same for a slice that several files share, with at most one range of each: all of them in one
  // transaction. Answers for each member how it went: who is refused is left out, and all errors of a member
  // are final; EOPNOTSUPP where this file must have a slice of its own. An error of the whole as in commit(),
  // unclear or nothing was committed: EOPNOTSUPP where the volume can have no packs, EEXIST where the slice's
  // id turns out to be somebody else's.
  virtual Result<std::vector<Status>> commit_pack(NewPack& pack) = 0;

  // False if the inode is gone for good, so that nobody wants its data.
  virtual Result<bool> exists(Ino ino) = 0;

  // Tells that the chunk has many records, so that somebody compacts it in the background.
  virtual void suggest_compaction(Ino ino, uint32_t index) = 0;
};

}  // namespace cider::chunk
