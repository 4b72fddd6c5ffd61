// Access times: moved after a read as the mount's mode says. Never in a read set; a lost update does no harm.
#include "meta/ops/env.h"

namespace cider::meta {
namespace {

bool needs_update(AtimeMode mode, const Attr& attr, Time now) {
  switch (mode) {
    case AtimeMode::noatime:
      return false;
    case AtimeMode::strictatime:
      return attr.atime < now;
    case AtimeMode::relatime:
      return attr.atime <= attr.mtime || attr.atime <= attr.ctime || now.sec - attr.atime.sec > 24 * 3600;
  }
  return false;
}

}  // namespace

Status Meta::touch_atime(Ino ino, const Attr& known) {
  if (options_.read_only || !needs_update(options_.atime, known, clock_.now())) return {};
  return run(Caller{}, [&](Transaction& tx, OpEnv& env) -> Status {
    auto& inode = tx.attr(ino, field::none);
    TRY(tx.fetch());
    if (!inode.value) return fail(ENOENT);
    if (!needs_update(options_.atime, *inode.value, env.now)) return {};
    PatchNode patch{ino};
    patch.set = field::atime;
    patch.values.atime = env.now;
    tx.write(std::move(patch));
    return {};
  });
}

}  // namespace cider::meta
