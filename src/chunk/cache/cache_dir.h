// One cache directory of a volume, "<--cache-dir>/<UUID>/": `raw/` holds cached blocks, `rawstaging/` those
// that wait for their upload, `.lock` the id by which the directory is known (a UUID in text).
// Format: JuiceFS 1.4 pkg/chunk/disk_cache.go, which may use the same directory at the same time.
// Encrypted blocks are in `sealed/` and `sealedstaging/`, which it doesn't know.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/aead.h"
#include "base/buffer.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "chunk/block_cache.h"
#include "chunk/cache/block_file.h"
#include "chunk/cache/block_path.h"
#include "chunk/cache/disk_health.h"

namespace cider::chunk {

// How a block's file is written: as JuiceFS does, or encrypted (sealed_file.h).
enum class BlockForm : unsigned char { plain, sealed };

// Thread-safe once it is open.
class CacheDir {
 public:
  struct Options {
    std::string path;         // ends with '/'
    unsigned mode = 0600;     // of files; who may read those may enter folders
    double free_ratio = 0.1;  // of the disk's space and inodes, to be left free
    bool hash_prefix = false;
    std::shared_ptr<const AeadKey> key;     // of encrypted blocks; null: there are none
    bool seal = false;                      // blocks are encrypted; needs the key
    const Clock* clock = &Clock::system();  // by which requests to the disk are timed
  };
  struct Space {
    uint64_t total = 0;  // bytes of the disk
    uint64_t free = 0;
    uint64_t inodes = 0;  // 0 where the file system has no limit
    uint64_t free_inodes = 0;
  };

  explicit CacheDir(Options options);

  // Makes the directory and its id where they are missing.
  Status open();
  const std::string& id() const { return id_; }
  const std::string& path() const { return options_.path; }
  unsigned mode() const { return options_.mode; }
  DiskHealth& health() { return health_; }

  // Of what is written and cached here. Staged blocks may be of another form, where can_read() says so.
  BlockForm form() const { return options_.seal ? BlockForm::sealed : BlockForm::plain; }
  bool can_read(BlockForm form) const { return form == BlockForm::plain || options_.key; }

  BlockPath raw(const BlockName& block) const { return {raw_folder(), block, options_.hash_prefix}; }
  BlockPath staging(const BlockName& block) const { return staging(block, form()); }
  BlockPath staging(const BlockName& block, BlockForm form) const {
    return {staging_folder(form), block, options_.hash_prefix};
  }
  const std::string& raw_folder() const { return folders(form()).raw; }
  const std::string& staging_folder(BlockForm form) const { return folders(form).staging; }

  // Writes a block's file, in form(), under a temporary name and renames it to `path`; makes folders that are
  // missing. The mode is that of the directory's options. Answers the open file.
  Result<UniqueFd> store(const char* path, const BlockName& block, const BufferChain& data, BlockWrite how);
  // Likewise a file of just these bytes.
  Result<UniqueFd> store_file(const char* path, const Buffer& bytes, BlockWrite how);
  // Errors as of BlockFile::open().
  Result<BlockFile> open_file(const char* path, const BlockName& block, BlockForm form) const;
  // A second name in `raw/`, in place of another file there.
  Status link(const char* from, const char* to);
  // Makes the folders above `path`.
  Status make_parents(std::string_view path);

  // Calls `found` for each block in `folder` (one of those above), by its name alone. Removes temporary
  // files and empty folders that are older than a minute. `found` answers false to end the scan.
  Status scan(const std::string& folder,
              const std::function<bool(const BlockName&, std::string_view path)>& found);

  // Looks how full the disk is.
  void refresh_space();
  Space space() const;
  // Less than the ratio is free; for staged blocks: less than half of it.
  bool is_full() const { return lacks(1.0); }
  bool is_full_for_staging() const { return lacks(0.5); }
  // Bytes and files that would have to go for the ratio to be free.
  uint64_t bytes_to_free() const;
  uint64_t inodes_to_free() const;

  // Writes, reads and removes a small file: 0 or the errno.
  int probe();
  // Whether `.lock` still holds our id. Where only it or the folder was removed, they are made again
  // (`emptied` tells so); where the disk is another one than at first, ENODEV.
  Status check_identity(bool* emptied);

 private:
  struct Folders {
    std::string raw;
    std::string staging;
  };
  const Folders& folders(BlockForm form) const { return folders_[static_cast<size_t>(form)]; }
  BlockPath key_of(const BlockName& block) const { return {"", block, options_.hash_prefix}; }
  Result<UniqueFd> place(const char* path, FunctionRef<Result<UniqueFd>(const char* temporary)> write);
  Result<UniqueFd> write(const char* path, const BlockName& block, const BufferChain& data,
                         const BlockWrite& how) const;
  Status make_folders();
  void tell_of_other_form() const;
  bool lacks(double part) const;
  Status make_folder(const std::string& path);
  Result<std::string> read_or_make_id();
  bool scan_folder(const std::string& folder,
                   const std::function<bool(const BlockName&, std::string_view path)>& found);

  const Options options_;
  const std::array<Folders, 2> folders_;  // by form
  std::string id_;
  dev_t device_ = 0;
  DiskHealth health_;
  std::atomic<unsigned> temporary_{0};
  std::atomic<uint64_t> total_{0};
  std::atomic<uint64_t> free_{0};
  std::atomic<uint64_t> inodes_{0};
  std::atomic<uint64_t> free_inodes_{0};
};

}  // namespace cider::chunk
