// A volume's setting, counters, ACL rules and sessions in an ordered-KV engine.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/store/kv/workspace.h"
#include "meta/store/store.h"

namespace cider::meta::kv {

// EEXIST if there is a volume.
Status create_volume(std::string_view setting, const Attr& root, const std::optional<Attr>& trash,
                     Workspace& work);
Result<bool> has_quotas(Workspace& work);

Result<int64_t> counter(Counter counter, Workspace& work);
Result<int64_t> add_counter(Counter counter, int64_t delta, Workspace& work);
Result<bool> set_if_small(Counter counter, int64_t value, int64_t diff, Workspace& work);

Result<std::optional<AclRule>> acl(uint32_t id, Workspace& work);
Result<uint32_t> intern_acl(const AclRule& rule, Workspace& work);

void put_session(const SessionRecord& session, Workspace& work);
Status refresh_session(uint64_t sid, int64_t expire, Workspace& work);

}  // namespace cider::meta::kv
