// Applies the writes of operations (meta/store/writes.h) to the tables.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/sql/sqlite_db.h"
#include "meta/store/writes.h"

namespace cider::meta::sqlite {

// The writes of one group of operations, on the connection that holds the write lock. Volume usage and
// directory statistics are summed up in memory and written once, by flush(), before the group's COMMIT: so
// they cost a row per group instead of one per operation, and a crash cannot separate them from what they
// count.
//
// EEXIST where a row that must be new is there; EIO where one that the read set promised is missing.
class Changes {
 public:
  explicit Changes(Connection& db) : db_(db) {}

  Status apply(const WriteItem& item);
  Status flush();
  void discard();
  // Adds what is not flushed yet to the answer of a question.
  void complete_answer(ReadItem* item) const;

 private:
  Status write(const InsertNode& item);
  Status write(const PatchNode& item);
  Status write(const DeleteNode& item);
  Status write(const InsertEntry& item);
  Status write(const ReplaceEntry& item);
  Status write(const DeleteEntry& item);
  Status write(const SetSymlink& item);
  Status write(const SetXattr& item);
  Status write(const RemoveXattr& item);
  Status write(const AddParent& item);
  Status write(const AppendSlices& item);
  Status write(const HoleOverChunks& item);
  Status write(const LeaveChunks&) { return {}; }  // a file's chunks are found by its number
  Status write(const ReplaceSlices& item);
  Status write(const DeleteChunk& item);
  Status write(const InsertSliceRef& item);
  Status write(const AddSliceRef& item);
  Status write(const DeleteSliceRef& item);
  Status write(const PutDelayedSlices& item);
  Status write(const DeleteDelayedSlices& item);
  Status write(const PutSustained& item);
  Status write(const DeleteSustained& item);
  Status write(const PutDeletedFile& item);
  Status write(const DeleteDeletedFile& item);
  Status write(const PutFlock& item);
  Status write(const DeleteFlock& item);
  Status write(const PutPlock& item);
  Status write(const PutLockWait& item);
  Status write(const DeleteLockWait& item);
  Status write(const DeleteSession& item);
  Status write(const AddUsage& item);
  Status write(const CreateDirStat& item);
  Status write(const AddDirStat& item);
  Status write(const DeleteDirStat& item);

  Connection& db_;
  UsageRead usage_;
  std::unordered_map<Ino, DirStat> dir_stats_;
  std::unordered_map<uint32_t, std::string>
      patches_;  // UPDATE statements of PatchNode by the columns they set
};

}  // namespace cider::meta::sqlite
