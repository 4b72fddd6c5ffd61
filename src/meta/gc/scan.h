// All of a volume's records of slices, page by page (Store::scan_...), as the collection of garbage reads
// them: bounded memory, however large the volume is. Errors are the store's; EIO for a record that does not
// decode: what it names is not known, so nothing may be taken for garbage.
#pragma once

#include <span>

#include "base/function_ref.h"
#include "meta/meta.h"
#include "meta/store/store.h"

namespace cider::meta {

Status each_chunk(Store& store, FunctionRef<Status(const ChunkRow&, std::span<const Slice>)> each);
Status each_delayed(Store& store, FunctionRef<Status(const DelayedList&)> each);
Status each_slice_count(Store& store, FunctionRef<Status(const SliceCount&)> each);
Status each_deleted_file(Store& store, FunctionRef<Status(const DeletedFile&)> each);

// Finds the chunks and delayed slices that name these slices, which are sorted by id and size.
Status find_uses(Store& store, std::span<Meta::SliceUses> slices);

}  // namespace cider::meta
