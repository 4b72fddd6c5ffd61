// The XML documents of S3's REST interface
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html). Their
// bytes come from a server: whatever they are, the answer is a value or an Error (EIO). Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "object/object_store.h"

namespace cider::object::s3 {

// <Error>: empty fields where it doesn't have them.
struct ErrorDocument {
  std::string code;
  std::string message;
  std::string region;
  std::string endpoint;
  std::string request_time;
  std::string server_time;
  std::string actual_size;
  std::string request_id;
};
// nullopt for anything else.
std::optional<ErrorDocument> parse_error(std::string_view xml);

// <ListBucketResult>, of both versions of the request.
struct ListPage {
  std::vector<ObjectInfo> objects;
  bool truncated = false;
  bool has_key_count = false;  // answers version 2
  std::string next_token;
  std::string next_marker;
};
Result<ListPage> parse_list(std::string_view xml);

struct DeleteFailure {
  std::string key;
  std::string code;
  std::string message;
};
// <DeleteResult>: what could not be deleted.
Result<std::vector<DeleteFailure>> parse_delete_result(std::string_view xml);

// The id of <InitiateMultipartUploadResult>.
Result<std::string> parse_upload_id(std::string_view xml);
// The ETag of <CopyPartResult> or <CopyObjectResult>.
Result<std::string> parse_copy_etag(std::string_view xml);

struct UploadsPage {
  std::vector<PendingUpload> uploads;
  bool truncated = false;
  std::string next_key;
  std::string next_id;
};
// <ListMultipartUploadsResult>.
Result<UploadsPage> parse_uploads(std::string_view xml);

// Requests. EINVAL for a key that XML can't express.
Result<std::string> delete_request(std::span<const std::string> keys);
std::string complete_request(std::span<const UploadedPart> parts);
std::string create_bucket_request(std::string_view region);

// Seconds of "2009-10-12T17:50:30.000Z" (or "...+02:00"), or of "Wed, 12 Oct 2009 17:50:30 GMT"; 0 where it is neither.
Time parse_iso_time(std::string_view text);
Time parse_http_time(std::string_view text);
// "2009-10-12T17:50:30Z".
std::string format_time(int64_t seconds);

}  // namespace cider::object::s3
