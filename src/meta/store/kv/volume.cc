#include "meta/store/kv/volume.h"

#include "meta/store/kv/keys.h"
#include "meta/store/kv/records.h"

namespace cider::meta::kv {

Status create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash,
                     Workspace& work) {
  const std::string key(kSetting);
  if (TRY(work.get(key, Rely::yes))) return fail(EEXIST, "the database holds a volume already");
  work.put(key, std::string(setting));
  work.put(inode_key(kRootIno), encode_attr(root));
  if (trash && !TRY(work.get(inode_key(kTrashIno), Rely::yes)))
    work.put(inode_key(kTrashIno), encode_attr(*trash));
  work.put(dir_stat_key(kRootIno), encode_dir_stat({}));
  // The numbers that are free: 1 is the root's, slice 0 stands for holes.
  TRY(add_counter(Counter::next_inode, 2, work));
  TRY(add_counter(Counter::next_chunk, 1, work));
  return {};
}

Result<bool> has_quotas(Workspace& work) {
  return !TRY(work.is_empty(all_of("Q"), Rely::no));
}

Result<int64_t> counter(Counter counter, Workspace& work) {
  const std::string record = TRY(work.get(counter_key(counter_name(counter)), Rely::yes)).value_or("");
  return is_set_as_number(counter) ? decode_number(record) : decode_counter(record);
}

Result<int64_t> add_counter(Counter counter, int64_t delta, Workspace& work) {
  const int64_t value = TRY(kv::counter(counter, work)) + delta;
  work.put(counter_key(counter_name(counter)),
           is_set_as_number(counter) ? encode_number(value) : encode_counter(value));
  return value;
}

// Of equal values the first caller wins, as in JuiceFS.
Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff, Workspace& work) {
  if (TRY(kv::counter(counter, work)) > value - diff) return false;
  work.put(counter_key(counter_name(counter)),
           is_set_as_number(counter) ? encode_number(value) : encode_counter(value));
  return true;
}

Result<std::optional<AclRule>> acl(uint32_t id, Workspace& work) {
  const Value record = TRY(work.get(acl_key(id), Rely::no));
  if (!record) return std::optional<AclRule>{};
  return std::optional(TRY(decode_acl(*record)));
}

// An id in use, which a counter that was set back gives, is passed over.
Result<uint32_t> intern_acl(const AclRule& rule, Workspace& work) {
  const std::string counter = counter_key(kAclMax);
  int64_t id = TRY(decode_counter(TRY(work.get(counter, Rely::yes)).value_or("")));
  do {
    ++id;
  } while (TRY(work.get(acl_key(static_cast<uint32_t>(id)), Rely::yes)));
  work.put(counter, encode_counter(id));
  work.put(acl_key(static_cast<uint32_t>(id)), encode_acl(rule));
  return static_cast<uint32_t>(id);
}

void put_session(const SessionRecord& session, Workspace& work) {
  work.put(session_key(session.sid), encode_number(session.expire));
  work.put(session_info_key(session.sid), session.info);
}

Status refresh_session(uint64_t sid, int64_t expire, Workspace& work) {
  const std::string key = session_key(sid);
  if (!TRY(work.get(key, Rely::yes)))
    return fail(ENOENT, "session " + std::to_string(sid) + " was cleaned up");
  work.put(key, encode_number(expire));
  return {};
}

}  // namespace cider::meta::kv
