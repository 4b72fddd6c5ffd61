// The seam below the ordered-KV engines: a database of keys in the order of their bytes.
//
// Who changes something takes a view, reads through it, and commits puts and deletions together with checks:
// what must still be as the view showed it. How an engine holds that is its business: etcd compares
// revisions, TiKV locks keys at the view's timestamp, an embedded engine lets nobody else in.
//
// A Database is thread-safe, a View is used by one thread. Errors: EIO for what the engine could not do,
// ETIMEDOUT / EINTR for waits that ended.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/late_stop.h"

namespace cider::meta::kv {

using Value = std::optional<std::string>;  // nullopt: no such key

struct Pair {
  std::string key;
  std::string value;
  bool operator==(const Pair&) const = default;
};

struct Range {  // begin <= key < end
  std::string begin;
  std::string end;
  bool contains(std::string_view key) const { return begin <= key && key < end; }
};

// What a commit depends on: as the view showed it, absent where it showed nothing. Ranges may also lose no
// key.
struct Checks {
  struct Unchanged {
    Range range;
    std::vector<std::string> keys;  // that the view showed in it; none: it must still be empty
  };
  std::set<std::string, std::less<>> keys;
  std::vector<Unchanged> ranges;
};

// A value is put, nullopt deletes. No changed key lies in a range that is deleted.
struct Changes {
  std::map<std::string, Value, std::less<>> keys;
  std::vector<Range> deleted;
  bool empty() const { return keys.empty() && deleted.empty(); }
};

// One instant of the database.
class View {
 public:
  virtual ~View() = default;
  // The values in the order of the keys.
  virtual Result<std::vector<Value>> get(std::span<const std::string> keys) = 0;
  // At most `limit` pairs from the range's beginning on; with `keys_only` the values are empty.
  virtual Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) = 0;
  // A key that nothing of the range lies at or behind; its end where that is not cheap to tell.
  virtual Result<std::string> bound(const Range& range) { return range.end; }
  // The key is not relied on, so what it is now is wanted, and no guess.
  virtual void want_present(const std::string&) {}
  // What the engine believes that the key's value is; it proves nothing.
  virtual std::optional<Value> guess(const std::string&) { return std::nullopt; }
  // The key is probably not there: an engine whose commit finds out anyway need not ask.
  virtual void expect_absent(const std::string&) {}
};

// unknown: it may have been made, or may be yet, until Database::settle() has told.
enum class Committed { done, conflict, unknown };

struct Limits {
  size_t parts = SIZE_MAX;      // checks and changes of one commit
  size_t bytes = SIZE_MAX;      // of keys and values
  bool deletes_ranges = false;  // as one part, whatever is in them
  size_t group = 64;            // operations of one commit
  size_t records = 500;         // see Store::records_per_commit()
};

class Database {
 public:
  virtual ~Database() = default;

  virtual std::string name() const = 0;
  virtual std::string describe() const = 0;  // for people, without secrets

  // For reading.
  virtual Result<std::unique_ptr<View>> view(std::stop_token stop) = 0;
  // To commit on. May show what was true a moment ago, or is only expected: the commit finds out.
  virtual Result<std::unique_ptr<View>> working_view(std::stop_token stop) { return view(std::move(stop)); }
  // All or nothing. `conflict`: a check failed, and a new view shows the present. EINTR: `stop.now` was
  // requested before it was sent. `unknown`: `stop.late` was requested, or nobody answered for long, when it
  // may have been sent.
  virtual Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                                   const Interrupt& stop) = 0;
  // After `unknown`, before the next commit: whether it was made. After an answer it can't be made any more.
  virtual Result<bool> settle(std::stop_token) { return false; }
  // Everything committed before survives a power loss after this.
  virtual Status sync() { return {}; }
  // Now and then, in the background: what the engine needs besides.
  virtual Status housekeeping() { return {}; }
  virtual Limits limits() const { return {}; }
  virtual bool read_only() const { return false; }
  // Of an embedded database: who holds it, has taken a working view and commits on it, finds no conflict and
  // needs no checks. Null: there are other clients.
  virtual std::mutex* exclusive() { return nullptr; }
  // No other client has it open.
  virtual bool is_alone() const { return false; }
};

}  // namespace cider::meta::kv
