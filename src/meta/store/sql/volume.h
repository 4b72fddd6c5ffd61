// The volume as a whole: its setting, its birth and end; counters, ACL rules and session rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/model/acl.h"
#include "meta/model/attr.h"
#include "meta/store/sql/session.h"
#include "meta/store/store.h"

namespace cider::meta::sql {

// nullopt where there is no table jfs_setting, or no setting in it.
Result<std::optional<std::string>> load_setting(Session& db);
Result<bool> has_quotas(Session& db);
Result<int64_t> counter(Session& db, Counter counter);
Result<uint64_t> highest_id(Session& db, Counter counter);
Result<std::optional<AclRule>> acl(Session& db, uint32_t id);

// The following within a transaction of the caller's.
Status create_volume(Session& db, std::string_view setting, const Attr& root,
                     const std::optional<Attr>& trash);
Status save_setting(Session& db, std::string_view setting);
Result<int64_t> add_counter(Session& db, Counter counter, int64_t delta);
Result<bool> set_if_small(Session& db, Counter counter, int64_t value, int64_t diff);
Result<uint32_t> intern_acl(Session& db, const AclRule& rule);
Status put_session(Session& db, const SessionRecord& session);
Status refresh_session(Session& db, uint64_t sid, int64_t expire);

}  // namespace cider::meta::sql
