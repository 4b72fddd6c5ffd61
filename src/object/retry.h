// Requests that failed for a reason that may pass are tried again.
//
// Who retries what, so that tries don't multiply:
// - reads of object data (get, get_in_order, get_whole) by whoever reads: chunk/fetcher.cc tries --io-retries
//   times, since it knows whether the block is damaged, was replaced by compaction, or is wanted any longer;
// - put by the writer, which goes on until the store takes the data (chunk/upload.cc);
// - head, list, remove, remove_many here, and get_all, which reads small objects for commands;
// - nobody create and check_bucket, a command's first words with a store, so that a wrong address is told at
//   once; nor sync and remove_empty_folders, which only local stores have.
// RetryPolicy can turn on the first two for a caller without a data path. Drivers retry nothing, but for a
// request on a connection from their pool that the server had closed meanwhile.
#pragma once

#include <memory>

#include "base/clock.h"
#include "object/object_store.h"

namespace cider::object {

struct Retries {
  int tries = 1;
  Millis deadline{30'000};  // no try begins later than this after the first
};

struct RetryPolicy {
  Retries reads;               // get, get_in_order, get_whole
  Retries puts;                // put
  Retries others{.tries = 5};  // see above
  Millis first_pause{100};     // doubles with each try, and is drawn between half of that and the whole
  Millis longest_pause{5'000};
  Millis slow_down_pause{1'000};  // the first one after EAGAIN, by which a store asks for fewer requests
};

// Whether another try may succeed: the store failed, answered nothing or asked to come later. Not for what it
// refused or does not have, and not for EINTR.
bool is_transient(int code);

// Waits end with EINTR on the request's stop token; requests without one are not interrupted.
std::unique_ptr<ObjectStore> with_retries(std::unique_ptr<ObjectStore> inner, RetryPolicy policy);

}  // namespace cider::object
