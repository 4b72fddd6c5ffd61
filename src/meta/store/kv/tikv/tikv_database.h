// The metadata engine `tikv`: JuiceFS's layout below the URL's prefix, both clients at the same time.
//
// A view is a timestamp. A commit locks at it what it changes and what it relies on; of a directory's entries
// and a file's chunks that is the inode's record, which all who change them rewrite or rely on. So a change
// may be prepared at a timestamp that was fetched beforehand. Who it was is told by that timestamp, which no
// other transaction has: a commit whose answer was lost is looked up, or prevented.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

// The cluster is asked at once, so that a wrong address shows. ETIMEDOUT, EINVAL.
Result<std::shared_ptr<Database>> open_tikv(std::string_view url, bool read_only);

// For tests: whether a placement driver answers at once; how often stores were asked; and how often somebody
// had to wait for them, or for a timestamp.
bool tikv_answers(std::string_view url);
uint64_t tikv_requests(const Database& database);
uint64_t tikv_round_trips(const Database& database);

}  // namespace cider::meta::kv
