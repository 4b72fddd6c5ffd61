#include "meta/store/sql/patch.h"

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "meta/store/sql/node.h"

namespace cider::meta::sql {
namespace {

// What of a patch decides its statement's text.
struct Shape {
  Fields set;
  bool adds_links;
  bool touches_both;
  bool touches_ctime;
  bool answers;
  bool in_sequence;  // assignments see those on their left

  Shape(const PatchNode& patch, bool sequence, bool can_return)
      : set(patch.set & field::all),
        adds_links(patch.nlink_delta != 0),
        touches_both(patch.touch && !(patch.set & field::mtime)),
        touches_ctime((patch.touch || patch.touch_ctime) && !(patch.set & field::ctime)),
        answers(patch.after != nullptr && can_return),
        in_sequence(sequence) {}
  uint32_t key() const {
    return set << 5 | adds_links << 4 | touches_both << 3 | touches_ctime << 2 | answers << 1 | in_sequence;
  }
};

// Operations read the clock before they get their turn, so a touch may come late: then it puts the time a
// nanosecond beyond the ctime, so that others see the change. A ctime that is seconds ahead stems from a
// wrong clock, and gives way. Each value is the touch's microseconds but those for "nsec".
#define CIDER_LATE "(ctime,ctimensec)>=(?,?) AND ctime<=?+3000000"
#define CIDER_MICROS(column) \
  column "=CASE WHEN " CIDER_LATE " THEN ctime+CASE WHEN ctimensec=999 THEN 1 ELSE 0 END ELSE ? END"
#define CIDER_NANOS(column) column "nsec=CASE WHEN " CIDER_LATE " THEN (ctimensec+1)%1000 ELSE ? END"
// Where ctimensec has its new value already: it is 0 after 999, or because it was put to 0 with a ctime of
// the touch, or below it.
#define CIDER_MICROS_AFTER_NANOS                                                                             \
  "ctime=CASE WHEN ctime>=? AND ctime<=?+3000000 THEN ctime+CASE WHEN ctimensec=0 THEN 1 ELSE 0 END ELSE ? " \
  "END"

// The order is that of add_values().
std::string text_of(Shape shape) {
  std::string columns;
  auto assign = [&](bool wanted, std::string_view text) {
    if (!wanted) return;
    if (!columns.empty()) columns += ",";
    columns += text;
  };
  assign(shape.set & field::type, "type=?");
  assign(shape.set & field::mode, "mode=?");
  assign(shape.set & field::uid, "uid=?");
  assign(shape.set & field::gid, "gid=?");
  assign(shape.set & field::flags, "flags=?");
  assign(shape.set & field::parent, "parent=?");
  assign(shape.set & field::nlink, "nlink=?");
  assign(shape.set & field::length, "length=?");
  assign(shape.set & field::rdev, "rdev=?");
  assign(shape.set & field::acl, "access_acl_id=?,default_acl_id=?");
  assign(shape.set & field::tier, "tier_id=?");
  assign(shape.set & field::atime, "atime=?,atimensec=?");
  assign(shape.set & field::mtime, "mtime=?,mtimensec=?");
  assign(shape.adds_links && !(shape.set & field::nlink), "nlink=nlink+?");
  assign(shape.touches_both, CIDER_MICROS("mtime") "," CIDER_NANOS("mtime"));
  assign(shape.touches_ctime, CIDER_NANOS("ctime"));
  assign(shape.touches_ctime, shape.in_sequence ? CIDER_MICROS_AFTER_NANOS : CIDER_MICROS("ctime"));
  assign(shape.set & field::ctime, "ctime=?,ctimensec=?");
  if (columns.empty()) columns = "inode=inode";
  return "UPDATE jfs_node SET " + columns + " WHERE inode=?" +
         (shape.answers ? " {returning " CIDER_NODE_COLUMNS("") "}" : "");
}

// Texts live as long as the process: engines find statements by their addresses. There are few shapes.
const char* cached_text(Shape shape) {
  static std::shared_mutex mutex;
  static std::unordered_map<uint32_t, std::unique_ptr<std::string>> texts;
  {
    std::shared_lock lock(mutex);
    if (auto found = texts.find(shape.key()); found != texts.end()) return found->second->c_str();
  }
  std::lock_guard lock(mutex);
  auto& text = texts[shape.key()];
  if (!text) text = std::make_unique<std::string>(text_of(shape));
  return text->c_str();
}

void add_values(const PatchNode& patch, Shape shape, Statement* out) {
  const Attr& v = patch.values;
  const auto add_time = [&](Time time) {
    const SqlTime t = to_sql_time(time);
    out->add(t.micros);
    out->add(t.nanos);
  };
  const Fields set = shape.set;
  if (set & field::type) out->add(static_cast<uint8_t>(v.type));
  if (set & field::mode) out->add(v.mode);
  if (set & field::uid) out->add(Narrow{v.uid});
  if (set & field::gid) out->add(Narrow{v.gid});
  if (set & field::flags) out->add(v.flags);
  if (set & field::parent) out->add(v.parent);
  if (set & field::nlink)
    out->add(Narrow{static_cast<uint32_t>(static_cast<int64_t>(v.nlink) + patch.nlink_delta)});
  if (set & field::length) out->add(v.length);
  if (set & field::rdev) out->add(Narrow{v.rdev});
  if (set & field::acl) {
    out->add(Narrow{v.access_acl});
    out->add(Narrow{v.default_acl});
  }
  if (set & field::tier) out->add(v.tier);
  if (set & field::atime) add_time(v.atime);
  if (set & field::mtime) add_time(v.mtime);
  if (shape.adds_links && !(set & field::nlink)) out->add(patch.nlink_delta);
  const SqlTime touch = to_sql_time(patch.touch ? *patch.touch : patch.touch_ctime.value_or(Time{}));
  const auto add_touch = [&](int64_t otherwise) {
    for (int64_t number : {touch.micros, touch.nanos, touch.micros, otherwise}) out->add(number);
  };
  if (shape.touches_both) {
    add_touch(touch.micros);
    add_touch(touch.nanos);
  }
  if (shape.touches_ctime) {
    add_touch(touch.nanos);
    if (shape.in_sequence)
      for (int i = 0; i < 3; ++i) out->add(touch.micros);
    else
      add_touch(touch.micros);
  }
  if (set & field::ctime) add_time(v.ctime);
  out->add(patch.ino);
}

}  // namespace

bool changes_anything(const PatchNode& patch) {
  return (patch.set & field::all) != 0 || patch.nlink_delta != 0 || patch.touch || patch.touch_ctime ||
         patch.after != nullptr;
}

Statement patch_statement(const PatchNode& patch, const Dialect& dialect) {
  const Shape shape(patch, dialect.assigns_in_sequence(), dialect.can_return());
  Statement out(cached_text(shape));
  out.values.reserve(24);
  add_values(patch, shape, &out);
  return out;
}

}  // namespace cider::meta::sql
