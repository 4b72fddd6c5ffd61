// The volume as a whole: its setting, its birth and end; counters, ACL rules and session rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/model/acl.h"
#include "meta/model/attr.h"
#include "meta/store/sql/sqlite_db.h"
#include "meta/store/sql/sqlite_writes.h"
#include "meta/store/store.h"

namespace cider::meta::sqlite {

// nullopt where there is no table jfs_setting, or no setting in it.
Result<std::optional<std::string>> load_setting(Connection& db);
Result<bool> has_quotas(Connection& db);
Result<int64_t> counter(Connection& db, Counter counter);
Result<uint64_t> highest_id(Connection& db, Counter counter);
Result<std::optional<AclRule>> acl(Connection& db, uint32_t id);

// The following within a transaction of the caller's.
Status create_volume(Connection& db, Changes& changes, std::string_view setting, const Attr& root,
                     const std::optional<Attr>& trash);
Status save_setting(Connection& db, std::string_view setting);
Result<int64_t> add_counter(Connection& db, Counter counter, int64_t delta);
Result<bool> set_if_small(Connection& db, Counter counter, int64_t value, int64_t diff);
Result<uint32_t> intern_acl(Connection& db, const AclRule& rule);
Status put_session(Connection& db, const SessionRecord& session);
Status refresh_session(Connection& db, uint64_t sid, int64_t expire);

}  // namespace cider::meta::sqlite
