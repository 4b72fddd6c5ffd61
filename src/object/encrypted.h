// A store whose objects are encrypted.
#pragma once

#include <memory>

#include "base/budget.h"
#include "object/crypto/encryptor.h"
#include "object/object_store.h"

namespace cider::object {

// `inner` with the content of every object encrypted, also of those that are no blocks, as JuiceFS does: the
// volume's mark, backups. Names, and sizes in listings and of head(), are those of the store below. The
// place for it is right above the prefix and below metrics, so that these count what applications see and
// rate limits, checksums and tries below it what is sent.
//
// Any read costs the whole object, as its tag is of the whole. EBADMSG, with the object's name, for one that
// was altered or is of another key. What is sealed or not yet opened is counted in `budget`, which outlives
// the store (null: nowhere). A part of an object longer than `largest` bytes can't be read (EFBIG), except
// from its beginning; whole ones are read up to the limit that is given.
std::unique_ptr<ObjectStore> with_encryption(std::unique_ptr<ObjectStore> inner,
                                             std::shared_ptr<const Encryptor> encryptor, MemoryBudget* budget,
                                             size_t largest);

}  // namespace cider::object
