#include "object/webdav/multistatus.h"

#include <charconv>
#include <cstring>
#include <ctime>
#include <pugixml.hpp>

#include "base/bytes.h"

namespace cider::object {
namespace {

// Elements are of the namespace DAV:, under whatever prefix.
bool is_named(const pugi::xml_node& node, std::string_view name) {
  const std::string_view full = node.name();
  const size_t colon = full.find(':');
  return full.substr(colon == full.npos ? 0 : colon + 1) == name;
}

pugi::xml_node child(const pugi::xml_node& node, std::string_view name) {
  return node.find_child([&](const pugi::xml_node& one) { return is_named(one, name); });
}

int64_t seconds_of(const char* http_date) {
  tm parts{};
  return ::strptime(http_date, "%a, %d %b %Y %H:%M:%S", &parts) ? ::timegm(&parts) : 0;
}

std::string path_of_href(std::string_view href) {
  if (size_t scheme = href.find("://"); scheme != href.npos) {
    const size_t slash = href.find('/', scheme + 3);
    href = slash == href.npos ? "/" : href.substr(slash);
  }
  std::string path = unescape_path(href);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<std::vector<DavResource>> parse_multistatus(std::string_view xml) {
  pugi::xml_document document;
  const auto parsed = document.load_buffer(xml.data(), xml.size());
  if (!parsed) return fail(EIO, std::string("the answer to PROPFIND is no XML: ") + parsed.description());
  const pugi::xml_node root = document.document_element();
  if (!is_named(root, "multistatus")) {
    return fail(EIO, std::string("the answer to PROPFIND is <") + root.name() + ">");
  }
  std::vector<DavResource> found;
  for (const pugi::xml_node& response : root.children()) {
    if (!is_named(response, "response")) continue;
    DavResource resource;
    resource.path = path_of_href(child(response, "href").text().get());
    resource.entry.name = resource.path.substr(resource.path.rfind('/') + 1);
    for (const pugi::xml_node& propstat : response.children()) {
      const pugi::xml_node prop = child(propstat, "prop");
      if (!prop || std::strstr(child(propstat, "status").text().get(), " 200") == nullptr) continue;
      if (child(child(prop, "resourcetype"), "collection")) resource.entry.is_folder = true;
      const std::string_view length = child(prop, "getcontentlength").text().get();
      std::from_chars(length.data(), length.data() + length.size(), resource.entry.size);
      if (pugi::xml_node modified = child(prop, "getlastmodified")) {
        resource.entry.mtime = {seconds_of(modified.text().get()), 0};
      }
    }
    found.push_back(std::move(resource));
  }
  return found;
}

std::string escape_path(std::string_view path) {
  constexpr std::string_view kPlain = "/-._~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    if (kPlain.find(c) != kPlain.npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string unescape_path(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); i++) {
    std::optional<std::string> byte;
    if (path[i] == '%' && i + 2 < path.size()) byte = from_hex(path.substr(i + 1, 2));
    out += byte ? *byte : std::string(1, path[i]);
    if (byte) i += 2;
  }
  return out;
}

}  // namespace cider::object
