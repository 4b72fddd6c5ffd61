// Opening a volume's metadata and its objects, as every command does it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/result.h"
#include "chunk/block_store.h"
#include "meta/meta.h"
#include "object/object_store.h"

namespace cider::cli {

// "sqlite3://meta.db" with the path made absolute, as a daemon that leaves the current directory needs it.
// Others unchanged.
std::string absolute_meta_url(const std::string& url);

// EINVAL where it is of no supported engine or malformed.
Status check_meta_url(const std::string& url);

// The URL without a password, for messages.
std::string printable_meta_url(const std::string& url);

struct OpenedVolume {
  std::unique_ptr<meta::Store> store;
  meta::Volume volume;
};

enum class Access { read_only, read_write };

// The engine and the volume in it. Errors: no database, no volume in it, a volume of a newer format.
Result<OpenedVolume> open_volume(const std::string& meta_url, Access access);

// Of clients that may be there, be their sessions expired: none where the database serves one at a time.
Result<std::vector<meta::SessionRecord>> sessions_of_others(meta::Store& store);

// What the session of this process tells others.
meta::SessionInfo this_session(const std::string& mount_point);

// How the volume's bucket is reached.
object::StoreConfig store_config(const meta::Volume& volume);

// How the volume's blocks are stored. EINVAL for a compression that is not known.
Result<chunk::Layout> block_layout(const meta::Volume& volume);
// The most bytes that a block takes, before encryption.
size_t largest_object(const chunk::Layout& layout);

// The bucket itself, or buckets, where objects of other volumes may be too. EINVAL where a dump has removed
// the secret key.
Result<std::unique_ptr<object::ObjectStore>> open_bucket(const meta::Volume& volume);

// The volume's object store as commands use it: the volume's name as prefix, retries, encryption where the
// volume has a key (a mount uses VolumeObjects). What encryption holds is counted in `budget`, which outlives
// the store (null: nowhere). Errors of volume_encryptor().
Result<std::unique_ptr<object::ObjectStore>> open_objects(const meta::Volume& volume,
                                                          MemoryBudget* budget = nullptr);

// Writes, reads and removes a small object in a bucket that is there. Leaves nothing behind.
Status test_objects(object::ObjectStore& objects);

// format leaves the volume's UUID in the store as an object, as JuiceFS does.
Status put_mark(object::ObjectStore& objects, const meta::Volume& volume);
// ENOENT: there is no such object; EINVAL: it is another volume's; EBADMSG: it can't be decrypted.
Status check_mark(object::ObjectStore& objects, const meta::Volume& volume);

// The setting for people: JSON with two spaces a level, secrets replaced by "removed", a password in the
// bucket's URL by stars.
std::string printable_setting(const meta::Volume& volume);

// A bucket as the setting keeps it: of the `file` storage an absolute path that ends in "/", of `sqlite3` one
// that does not.
std::string absolute_bucket(const std::string& storage, const std::string& bucket);

}  // namespace cider::cli
