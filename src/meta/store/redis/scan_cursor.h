// A SCAN or HSCAN, page by page.
//
// A cursor means something only to the run of the server that gave it: after a restart or a failover the same
// keys lie in the order of another hash seed, and the rest of the scan would leave elements out without a
// word. So a page comes with the server's run id, asked for in the same flight, and a scan that meets another
// run begins again. What fits the first page, as most directories do, needs none of that. Where an ACL hides
// INFO a change of runs goes unnoticed.
#pragma once

#include <initializer_list>
#include <stop_token>
#include <string>
#include <string_view>

#include "meta/store/redis/client.h"

namespace cider::meta::redis {

// Not thread-safe.
class ScanCursor {
 public:
  // The elements of the next page: some that were shown before may come again. `command` is "SCAN", or
  // "HSCAN" and a key; `options` follow the cursor. A call that failed may be made again. In a cluster SCAN
  // shows other volumes' keys, too.
  Result<Reply> next(Client& client, std::initializer_list<std::string_view> command,
                     std::initializer_list<std::string_view> options, std::stop_token stop = {});
  bool at_end() const { return at_end_; }

 private:
  std::string cursor_ = "0";
  std::string run_;  // that gave the cursor; means nothing at "0"
  bool first_ = true;
  bool at_end_ = false;
};

}  // namespace cider::meta::redis
