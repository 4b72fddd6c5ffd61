// Gives bytes of unknown origin to every decoder of the model; the first byte chooses which. What a decoder
// accepts must be encoded and decoded to the same value.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "meta/model/acl.h"
#include "meta/model/attr.h"
#include "meta/model/client_version.h"
#include "meta/model/entry.h"
#include "meta/model/locks.h"
#include "meta/model/session.h"
#include "meta/model/slices.h"
#include "meta/model/volume.h"

namespace {

using namespace cider::meta;

void require(bool holds) {
  if (!holds) std::abort();
}

template <class Decode, class Encode>
void round_trip(std::string_view bytes, Decode decode, Encode encode) {
  const auto value = decode(bytes);
  if (value) require(decode(encode(*value)).value() == *value);
}

void volume(std::string_view json) {
  const auto decoded = decode_volume(json);
  if (!decoded) return;
  (void)check_volume(*decoded).has_value();
  (void)check_client_version(*decoded).has_value();
  needed_client_version(*decoded);
  require(decode_volume(encode_volume(*decoded).value()).value() == *decoded);
}

void xattr(std::string_view value) {
  const auto rule = acl_from_xattr(value);
  if (rule && !rule->empty()) require(acl_from_xattr(acl_to_xattr(*rule)).value() == *rule);
}

void trash_folder(std::string_view name) {
  cider::Time hour;
  if (parse_trash_folder_name(name, &hour)) require(trash_folder_name(hour) == name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 12) {
    case 0:
      round_trip(bytes, decode_attr, encode_attr);
      break;
    case 1:
      round_trip(bytes, decode_entry, encode_entry);
      break;
    case 2:
      round_trip(bytes, decode_slices, encode_slices);
      break;
    case 3:
      round_trip(bytes, decode_delayed_slices, encode_delayed_slices);
      break;
    case 4:
      round_trip(bytes, decode_plock_ranges, encode_plock_ranges);
      break;
    case 5:
      round_trip(bytes, decode_acl, encode_acl);
      break;
    case 6:
      round_trip(bytes, decode_acl_entries, encode_acl_entries);
      break;
    case 7:
      xattr(bytes);
      break;
    case 8:
      round_trip(bytes, decode_session_info, encode_session_info);
      break;
    case 9:
      volume(bytes);
      break;
    case 10:
      trash_folder(bytes);
      break;
    default:
      parse_client_version(bytes);
  }
  return 0;
}
