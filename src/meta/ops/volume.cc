// Volumes, without mounting them: format, load.
#include <sys/random.h>

#include <cstdio>

#include "meta/meta.h"

namespace cider::meta {
namespace {

Result<std::string> random_uuid() {
  unsigned char b[16];
  if (getrandom(b, sizeof b, 0) != static_cast<ssize_t>(sizeof b))
    return fail_errno("random numbers for the volume's UUID");
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  char out[37];
  std::snprintf(out, sizeof out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                b[15]);
  return std::string(out);
}

Attr directory_attr(uint16_t mode, Time now) {
  Attr attr;
  attr.type = FileType::directory;
  attr.mode = mode;
  attr.nlink = 2;
  attr.length = kDirectoryLength;
  attr.parent = kRootIno;
  attr.atime = attr.mtime = attr.ctime = now;
  return attr;
}

}  // namespace

Result<Volume> load_volume(Store& store) {
  auto setting = TRY(store.load_setting());
  if (!setting) return fail(ENOENT, store.describe() + " holds no volume; make one with: ciderfs format");
  Volume volume = TRY(decode_volume(*setting));
  TRY(check_client_version(volume));
  if (volume.change_log) {
    return fail(EOPNOTSUPP, "volume " + volume.name +
                                " keeps a change log, which this version cannot write; switch it off with: "
                                "juicefs config META-URL --changelog=false");
  }
  return volume;
}

Status format_volume(Store& store, Volume* volume, const Clock& clock) {
  TRY(check_volume(*volume));
  if (volume->uuid.empty()) volume->uuid = TRY(random_uuid());
  volume->min_client_version = needed_client_version(*volume);
  std::string setting = TRY(encode_volume(*volume));
  Time now = clock.now();
  std::optional<Attr> trash;
  if (volume->trash_days > 0) trash = directory_attr(0555, now);
  return store.create_volume(setting, directory_attr(0777, now), trash);
}

}  // namespace cider::meta
