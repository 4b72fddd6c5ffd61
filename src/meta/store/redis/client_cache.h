// Inode records and entries as the server has them (`client-cache` of the URL): it tells what changes
// (push_channel.h), so that what was read once answers again without a round trip.
//
// What is answered was true on the server a moment ago: before the latest changes, whose word is still on its
// way. That moment is as short as the way, and never longer than kTrust: nothing is answered while the server
// has not been heard of for that long. Commits check what they read as always.
//
// A reply and the word of a change come over different connections, in any order. So a change is remembered
// by its number, and what was asked before the change is not believed after it. Two replies that differ mean
// that a word is on its way: neither is kept. Thus who was told a record is never told an older one later.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lru_map.h"
#include "meta/store/redis/change_listener.h"
#include "meta/store/redis/records.h"
#include "meta/store/writes.h"

namespace cider::meta::redis {

// Thread-safe.
class ClientCache final : public ChangeListener {
 public:
  static constexpr Millis kTrust{3'000};

  // Holds `size` inodes and as many entries, absent ones too, each for as long as `expire`.
  ClientCache(size_t size, Millis expire);

  // The number of changes so far: to be taken before the server is asked.
  using Moment = uint64_t;
  Moment now() const { return changes_.now(); }
  // What the server answered; it was asked after `asked`. To be called with every answer that is passed on.
  void fill(const ReadItem& item, const Answer& answer, Moment asked);
  // nullopt where the server has to be asked.
  std::optional<Answer> recall(const ReadItem& item);
  // A commit of this client wrote this, or may have. Under a lock that was got, what others did under it must
  // be seen: what is known of the inode goes, too.
  void forget(const WriteItem& item);

  // Keys "i<inode>" and "d<directory>"; others are passed over.
  void changed(std::string_view key) override;
  void all_changed() override { changes_.note_all(); }
  void told_until(Monotonic::time_point moment) override { trusted_until_ = moment + kTrust; }
  void lost() override;

 private:
  // The number of the latest change of each key, or a later one: many keys share a place.
  class Changes {
   public:
    Moment now() const { return count_; }
    Moment latest(char kind, Ino ino) const;
    void note(char kind, Ino ino);
    void note_all();

   private:
    static constexpr size_t kPlaces = 1 << 17;
    static size_t place(char kind, Ino ino);

    std::atomic<Moment> count_{0};
    std::atomic<Moment> all_{0};
    std::vector<std::atomic<Moment>> places_ = std::vector<std::atomic<Moment>>(kPlaces);
  };
  struct Known {
    Record record;
    Moment asked = 0;
    Moment filled = 0;
    Monotonic::time_point expires;
  };
  struct Shard {
    explicit Shard(size_t capacity) : records(capacity) {}
    std::mutex mutex;
    LruMap<std::string, Known> records;
  };
  using Shards = std::vector<std::unique_ptr<Shard>>;

  static Shards make_shards(size_t size);
  static Shard& shard_of(Shards& shards, const std::string& name);
  // `kind` and `ino` are of the key whose changes the record goes with.
  void put(Shards& shards, const std::string& name, char kind, Ino ino, const Record& record, Moment asked);
  std::optional<Record> get(Shards& shards, const std::string& name, char kind, Ino ino);

  const Millis expire_;
  Changes changes_;
  std::atomic<Monotonic::time_point> trusted_until_{Monotonic::time_point::min()};
  Shards inodes_;
  Shards entries_;
};

}  // namespace cider::meta::redis
