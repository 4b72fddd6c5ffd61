// The metadata engines and the schemes of their META URLs: a new one is a folder below store/ and a line in
// the table in engines.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/store/store.h"

namespace cider::meta {

// Opens the engine of a META URL. `create`: makes a database in a file if it is missing. EINVAL for schemes
// that aren't supported, naming those that are, and for URLs that are wrong.
Result<std::unique_ptr<Store>> open_store(std::string_view url, bool create, bool read_only);

// The same EINVAL, without opening anything.
Status check_store_url(std::string_view url);

// The database's path, where it is a file or folder of this machine; else empty.
std::string_view local_path(std::string_view url);

}  // namespace cider::meta
