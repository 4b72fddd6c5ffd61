// Makes small staged blocks survive a power loss at the cost of one flush of the disk for all that wait at
// the same time. A block goes to the journal, one file of fixed length in the cache directory, whose space
// was written before, so that flushing it changes nothing else of the file system. Its own file is written
// afterwards, without a sync, if the block is still there then. After a crash the files that are missing or
// not whole are made from the journal (staging_replay.h).
//
// A name has one block at a time: who stages another under it calls settle() first and supersede() last.
// Calls about one block are not made at the same time.
//
// Plain blocks only. Format: journal_format.h. A segment is used again when all blocks in it are uploaded,
// removed, or in files that are on the disk, which is seen to in the background. While there is no room the
// caller makes a file that is safe itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/worker_pool.h"
#include "chunk/cache/cache_dir.h"
#include "chunk/folder_sync.h"
#include "chunk/journal_file.h"

namespace cider::chunk {

// Thread-safe but for replay(), start() and stop(), which are called in this order.
class StagingJournal {
 public:
  // Told when a block has got its file.
  using Written = std::function<void(const BlockName&)>;

  // What is given outlives this.
  StagingJournal(CacheDir& dir, FolderSync& folders, MemoryBudget& budget, const JournalOptions& options,
                 Written written);
  ~StagingJournal() { stop(); }

  // Makes files of what an earlier run has left. For the process that looks after the directory.
  void replay();
  // Begins to make a journal in the background; without `accept` an earlier one is removed, that is all.
  void start(bool accept);
  // All blocks are in files that are on the disk then, and the journal is removed.
  void stop();

  // True: the block survives a power loss, and is in a file soon. False: the journal does not have it.
  bool append(const BlockName& block, const BufferChain& data);
  // The bytes of a block that was appended and has no file yet; empty for others.
  Buffer unwritten(const BlockName& block) const;
  // A block that was appended is uploaded or removed: it need not be restored. It gets no file any more, and
  // if it has one the caller removes it. Answers unwritten().
  Buffer forget(const BlockName& block);
  // A block that was appended has its file then; nobody writes that again.
  Status settle(const BlockName& block);
  // What is in the journal under this name is restored by nobody, whatever crashes: newer bytes are safe
  // elsewhere. An error: it still is.
  Status supersede(const BlockName& block);

 private:
  struct Unwritten {
    Buffer content;     // of the file
    bool busy = false;  // it is being written
  };
  struct Waiting {
    BlockName block;
    JournalRecord record;
    bool holds_block = true;  // false: it says that the block is done
    bool placed = false;
  };
  struct Group {
    std::vector<Waiting*> waiting;
    bool done = false;
    bool safe = false;
  };
  using Blocks = std::map<BlockName, Unwritten>;
  using Lock = std::unique_lock<std::mutex>;

  void run(const std::stop_token& stop, bool accept);
  Status make(const std::stop_token& stop);
  void serve(const std::stop_token& stop);
  Status remove(std::span<const BlockName> blocks);
  void clean();
  void write_done();
  Blocks::iterator wait_for_block(const BlockName& block, Lock& lock);
  Buffer take(Blocks::iterator entry);

  bool place_block(Waiting& self);
  bool join_group(Waiting& self, Lock& lock);
  bool may_mention(const BlockName& block);
  void write(Group& group, Lock& lock);
  std::vector<BlockName> take_done();
  Status write_records(Group& group, std::span<const BlockName> done);

  CacheDir& dir_;
  FolderSync& folders_;
  MemoryBudget& budget_;
  const JournalOptions& options_;
  const Written written_;
  const std::string path_;
  // The journal at the end: not all could be restored, or synced. Of the thread that runs.
  bool keep_ = false;

  mutable std::mutex mutex_;  // guards all below but file_
  std::condition_variable_any changed_;
  std::condition_variable idle_;  // a file is written
  std::vector<BlockName> left_;   // in an earlier journal until that is gone; restored, or in files
  bool ended_ = true;             // nothing is done in the background
  bool usable_ = false;
  bool writing_ = false;  // a thread is at file_
  std::shared_ptr<Group> next_;
  std::set<BlockName> done_;
  Blocks unwritten_;
  size_t unwritten_bytes_ = 0;

  JournalFile file_;
  WorkerPool writers_{"staging-write", 2};
  std::jthread thread_;
};

}  // namespace cider::chunk
