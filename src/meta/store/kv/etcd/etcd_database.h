// The metadata engine `etcd`: JuiceFS's layout below the URL's path, both clients at the same time.
//
// A commit is one Txn that compares the revision of every key it depends on (of a range: that nothing in it
// has changed since, or that nothing is in it), and in its other branch reads them anew. What a client knows
// of keys answers operations without a flight, as the commit finds out. A record of the client's last commit
// stands below a key of its own and is written and compared with each: after a connection was lost it tells
// whether the commit was made, and a copy that arrives late changes nothing.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

// A server is asked at once, so that a wrong address or password shows. ETIMEDOUT, EACCES, EINVAL.
Result<std::shared_ptr<Database>> open_etcd(std::string_view url, bool read_only);

// How often servers were asked; for tests.
uint64_t etcd_requests(const Database& database);

}  // namespace cider::meta::kv
