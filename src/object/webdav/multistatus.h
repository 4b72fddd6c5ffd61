// What a WebDAV server answers to PROPFIND: RFC 4918, section 13.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "object/folder_walk.h"

namespace cider::object {

struct DavResource {
  std::string path;  // of its href, decoded, without a slash at the end
  FolderEntry entry;
};

// EIO for what is no <multistatus>. Pure, as all here.
Result<std::vector<DavResource>> parse_multistatus(std::string_view xml);

// %XX for what a path in a URL can't have; slashes stay.
std::string escape_path(std::string_view path);
std::string unescape_path(std::string_view path);

}  // namespace cider::object
