#include "object/s3/xml.h"

#include <array>
#include <cctype>
#include <charconv>
#include <ctime>
#include <pugixml.hpp>

namespace cider::object::s3 {
namespace {

// The document's element of that name, whatever stands around it.
Result<pugi::xml_node> load(pugi::xml_document& document, std::string_view xml, const char* name) {
  const auto parsed = document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return fail(EIO, std::string("the answer is no XML: ") + parsed.description());
  pugi::xml_node node = document.child(name);
  if (!node) {
    return fail(
        EIO, std::string("the answer is no <") + name + "> but <" + document.document_element().name() + ">");
  }
  return node;
}

std::string text(const pugi::xml_node& node, const char* name) {
  return node.child_value(name);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// encoding-type=url: as in forms, a '+' is a blank.
std::string url_decoded(std::string_view in) {
  std::string out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size(); i++) {
    if (in[i] == '%' && i + 2 < in.size() && hex_digit(in[i + 1]) >= 0 && hex_digit(in[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(in[i + 1]) * 16 + hex_digit(in[i + 2]));
      i += 2;
    } else {
      out += in[i] == '+' ? ' ' : in[i];
    }
  }
  return out;
}

// Decodes the names of a listing as it says.
struct Names {
  explicit Names(const pugi::xml_node& list) : encoded(text(list, "EncodingType") == "url") {}
  std::string of(const pugi::xml_node& node, const char* name) const {
    return encoded ? url_decoded(node.child_value(name)) : text(node, name);
  }
  bool encoded;
};

Result<uint64_t> size_of(const pugi::xml_node& node) {
  const std::string_view digits = node.child_value("Size");
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return fail(EIO, "a listing has an object with the size \"" + std::string(digits) + "\"");
  }
  return size;
}

void escape_into(std::string& out, std::string_view in) {
  for (char c : in) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#13;";
        break;
      case '\n':
        out += "&#10;";
        break;
      case '\t':
        out += "&#9;";
        break;
      default:
        out += c;
    }
  }
}

Time parse_time(std::string_view in, const char* format) {
  tm parts{};
  const std::string copy(in);
  const char* rest = ::strptime(copy.c_str(), format, &parts);
  if (!rest) return {};
  Time time{::timegm(&parts), 0};
  if (*rest == '.') {
    uint32_t scale = 100'000'000;
    for (++rest; std::isdigit(static_cast<unsigned char>(*rest)) && scale > 0; ++rest, scale /= 10) {
      time.nsec += static_cast<uint32_t>(*rest - '0') * scale;
    }
  }
  if (*rest == '+' || *rest == '-') {
    tm zone{};
    if (::strptime(rest, "%z", &zone)) time.sec -= zone.tm_gmtoff;
  }
  return time;
}

}  // namespace

Time parse_iso_time(std::string_view in) {
  return parse_time(in, "%Y-%m-%dT%H:%M:%S");
}

Time parse_http_time(std::string_view in) {
  return parse_time(in, "%a, %d %b %Y %H:%M:%S");
}

std::string format_time(int64_t seconds) {
  const auto time = static_cast<time_t>(seconds);
  tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> out;
  return {out.data(), std::strftime(out.data(), out.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<ErrorDocument> parse_error(std::string_view xml) {
  pugi::xml_document document;
  auto node = load(document, xml, "Error");
  if (!node) return std::nullopt;
  ErrorDocument error;
  error.code = text(*node, "Code");
  error.message = text(*node, "Message");
  error.region = text(*node, "Region");
  error.endpoint = text(*node, "Endpoint");
  error.request_time = text(*node, "RequestTime");
  error.server_time = text(*node, "ServerTime");
  error.actual_size = text(*node, "ActualObjectSize");
  error.request_id = text(*node, "RequestId");
  return error;
}

Result<ListPage> parse_list(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node list = TRY(load(document, xml, "ListBucketResult"));
  const Names names(list);
  ListPage page;
  page.truncated = text(list, "IsTruncated") == "true";
  page.has_key_count = static_cast<bool>(list.child("KeyCount"));
  page.next_token = text(list, "NextContinuationToken");
  page.next_marker = names.of(list, "NextMarker");
  for (const pugi::xml_node& object : list.children("Contents")) {
    page.objects.push_back(
        {names.of(object, "Key"), TRY(size_of(object)), parse_iso_time(text(object, "LastModified"))});
    if (page.objects.back().key.empty()) return fail(EIO, "a listing has an object without a key");
  }
  return page;
}

Result<std::vector<DeleteFailure>> parse_delete_result(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node result = TRY(load(document, xml, "DeleteResult"));
  std::vector<DeleteFailure> failures;
  for (const pugi::xml_node& error : result.children("Error")) {
    failures.push_back({text(error, "Key"), text(error, "Code"), text(error, "Message")});
  }
  return failures;
}

Result<std::string> parse_upload_id(std::string_view xml) {
  pugi::xml_document document;
  std::string id = text(TRY(load(document, xml, "InitiateMultipartUploadResult")), "UploadId");
  if (id.empty()) return fail(EIO, "the answer has no upload id");
  return id;
}

Result<std::string> parse_copy_etag(std::string_view xml) {
  pugi::xml_document document;
  auto node = load(document, xml, "CopyPartResult");
  if (!node) node = load(document, xml, "CopyObjectResult");
  std::string etag = text(TRY(std::move(node)), "ETag");
  if (etag.empty()) return fail(EIO, "the answer to a copy has no ETag");
  return etag;
}

Result<UploadsPage> parse_uploads(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node list = TRY(load(document, xml, "ListMultipartUploadsResult"));
  const Names names(list);
  UploadsPage page;
  page.truncated = text(list, "IsTruncated") == "true";
  page.next_key = names.of(list, "NextKeyMarker");
  page.next_id = text(list, "NextUploadIdMarker");
  for (const pugi::xml_node& upload : list.children("Upload")) {
    page.uploads.push_back(
        {names.of(upload, "Key"), text(upload, "UploadId"), parse_iso_time(text(upload, "Initiated"))});
  }
  return page;
}

Result<std::string> delete_request(std::span<const std::string> keys) {
  std::string out = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) {
    for (char c : key) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') {
        return fail(EINVAL, "object key \"" + key + "\" has a control character, which XML can't express");
      }
    }
    out += "<Object><Key>";
    escape_into(out, key);
    out += "</Key></Object>";
  }
  return out + "</Delete>";
}

std::string complete_request(std::span<const UploadedPart> parts) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const UploadedPart& part : parts) {
    out += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>";
    escape_into(out, part.etag);
    out += "</ETag></Part>";
  }
  return out + "</CompleteMultipartUpload>";
}

std::string create_bucket_request(std::string_view region) {
  std::string out =
      "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>";
  escape_into(out, region);
  return out + "</LocationConstraint></CreateBucketConfiguration>";
}

}  // namespace cider::object::s3
