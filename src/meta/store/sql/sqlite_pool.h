// Connections for reading, opened when needed and kept.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/sql/sqlite_db.h"

namespace cider::meta::sqlite {

// Thread-safe. Readers see the last commit at the moment they begin (WAL), wait neither for the writer nor
// for each other, but for a free connection when all are busy.
class ReaderPool {
 public:
  ReaderPool(std::string path, Connection::Options options, size_t limit)
      : path_(std::move(path)), options_(options), limit_(limit) {}

  // A connection, given back when the lease ends.
  class Lease {
   public:
    Lease(ReaderPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Lease(Lease&&) = default;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      if (connection_) pool_->give_back(std::move(connection_));
    }
    Connection& operator*() const { return *connection_; }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Connection> connection_;
  };
  Result<Lease> acquire();

 private:
  void give_back(std::unique_ptr<Connection> connection);

  const std::string path_;
  const Connection::Options options_;
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Connection>> free_;  // the last one used is the next: its caches are warm
  size_t open_ = 0;
};

}  // namespace cider::meta::sqlite
